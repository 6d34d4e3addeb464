"""Traces: a span for each step of a request, from the gateway to the provider. Off unless configured.

This module is all that the services know of it. What it does when on is in
`shared.observability.otel`, which is imported then and not before: OpenTelemetry costs memory and time
at the start.

Context travels as the W3C's `traceparent`, in HTTP headers and in the headers of messages. Spans hold
no number, code, password or token: they go to another system than the logs, with other readers.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar

from shared.settings import ServiceSettings

Attributes = Mapping[str, str | int]


class SpanKind(Enum):
    """Whose step a span is, towards whom."""

    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


class Span:
    """One step. This one records nothing."""

    def attach(self) -> None:
        """Make it the parent of all that the current task begins from now on."""

    def inject(self) -> dict[str, str]:
        """Return the headers by which another process continues from here."""
        return {}

    def set_attributes(self, attributes: Attributes, name: str = "") -> None:
        """Add what is known by now; a name replaces the first one."""

    def end(self, *, failed: bool = False) -> None:
        """Finish it, for good."""

    def end_request(self, method: str, route: str, status: int, request_id: str) -> None:
        """Finish a request's span, named by its route; only what is our own fault has failed."""
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "dialpass.request_id": request_id,
        }
        self.set_attributes(attributes, f"{method} {route}")
        self.end(failed=status >= HTTPStatus.INTERNAL_SERVER_ERROR)


class Tracer:
    """Begins spans. This one begins none that is recorded."""

    on: ClassVar[bool] = False

    def start_span(self, kind: SpanKind, name: str, carrier: Mapping[str, object] | None = None) -> Span:
        """Return a span that began now; its parent is the carrier's, else the current one."""
        return _NO_SPAN

    @contextmanager
    def span(
        self, kind: SpanKind, name: str, attributes: Attributes, carrier: Mapping[str, object] | None = None
    ) -> Iterator[None]:
        """Record a block as a span, which is the current one meanwhile."""
        yield

    def inject(self) -> dict[str, str]:
        """Return the headers by which another process continues from the current span."""
        return {}

    def close(self) -> None:
        """Send what has not been sent yet; waits for it, but not for long."""


_NO_SPAN = Span()
OFF = Tracer()


def open_tracer(settings: ServiceSettings, service: str, stack: AsyncExitStack) -> Tracer:
    """Return what records a service's spans, closed with the stack; `OFF` where no collector is set."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return OFF
    from shared.observability.otel import OtelTracer  # noqa: PLC0415 - see above

    tracer = OtelTracer(service, endpoint)
    stack.push_async_callback(asyncio.to_thread, tracer.close)
    return tracer
