"""The worker's spans, in the trace that began with the request for a code."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import aiohttp
from aio_pika.abc import AbstractIncomingMessage

from shared.amqp.topology import SEND_CODE_QUEUE
from shared.observability.tracing import SpanKind, Tracer

Handle = Callable[[AbstractIncomingMessage], Awaitable[None]]


def traced(handle: Handle, tracer: Tracer) -> Handle:
    """Return a handler that records a span for each message; `handle` itself if tracing is off."""
    if not tracer.on:
        return handle

    async def handle_in_span(message: AbstractIncomingMessage) -> None:
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": SEND_CODE_QUEUE,
            "messaging.message.id": message.message_id or "",
        }
        with tracer.span(SpanKind.CONSUMER, f"process {SEND_CODE_QUEUE}", attributes, message.headers):
            await handle(message)

    return handle_in_span


def provider_trace_configs(tracer: Tracer) -> list[aiohttp.TraceConfig]:
    """Return aiohttp hooks that record a span for each call of the provider; none if tracing is off.

    The trace is not propagated to the provider, which is another organisation.
    """
    if not tracer.on:
        return []
    config = aiohttp.TraceConfig()

    async def start(
        _session: aiohttp.ClientSession, call: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        call.span = tracer.start_span(SpanKind.CLIENT, f"{params.method} {params.url.path}")
        call.span.set_attributes(
            {"http.request.method": params.method, "server.address": params.url.host or ""}
        )

    async def end(
        _session: aiohttp.ClientSession, call: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        call.span.set_attributes({"http.response.status_code": params.response.status})
        call.span.end()

    async def fail(
        _session: aiohttp.ClientSession, call: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        call.span.set_attributes({"error.type": type(params.exception).__name__})
        call.span.end(failed=True)

    config.on_request_start.append(start)
    config.on_request_end.append(end)
    config.on_request_exception.append(fail)
    return [config]
