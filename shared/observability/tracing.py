"""Distributed tracing: a span for each step of a request, from the gateway to the provider. Off by default.

Services use the classes of this module. The implementation is in `shared.observability.otel`, which is
imported only if tracing is enabled, because OpenTelemetry costs memory and start time.

The context is propagated as W3C `traceparent`, in HTTP headers and in message headers. Spans never contain
a number, code, password or token: traces have other readers than logs.
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
    """OpenTelemetry's kinds of spans."""

    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


class Span:
    """A span; this base class records nothing."""

    def attach(self) -> None:
        """Make it the current span of the task, the parent of its later spans."""

    def inject(self) -> dict[str, str]:
        """Return the headers that propagate the span to another process."""
        return {}

    def set_attributes(self, attributes: Attributes, name: str = "") -> None:
        """Set attributes; `name` replaces the span's name if given."""

    def end(self, *, failed: bool = False) -> None:
        """End the span."""

    def end_request(self, method: str, route: str, status: int, request_id: str) -> None:
        """End the span of a request, named by its route; it failed if the status is 5xx."""
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "dialpass.request_id": request_id,
        }
        self.set_attributes(attributes, f"{method} {route}")
        self.end(failed=status >= HTTPStatus.INTERNAL_SERVER_ERROR)


class Tracer:
    """Starts spans; this base class records nothing."""

    on: ClassVar[bool] = False

    def start_span(self, kind: SpanKind, name: str, carrier: Mapping[str, object] | None = None) -> Span:
        """Start a span; its parent is the context in `carrier` if given, else the current span."""
        return _NO_SPAN

    @contextmanager
    def span(
        self, kind: SpanKind, name: str, attributes: Attributes, carrier: Mapping[str, object] | None = None
    ) -> Iterator[None]:
        """Record a block as a span, which is the current one inside the block."""
        yield

    def inject(self) -> dict[str, str]:
        """Return the headers that propagate the current span to another process."""
        return {}

    def close(self) -> None:
        """Export the remaining spans, within a time limit."""


_NO_SPAN = Span()
OFF = Tracer()


def open_tracer(settings: ServiceSettings, service: str, stack: AsyncExitStack) -> Tracer:
    """Return the service's tracer, closed by the stack; `OFF` if no collector is configured."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return OFF
    from shared.observability.otel import OtelTracer  # noqa: PLC0415 - see the module's docstring

    tracer = OtelTracer(service, endpoint)
    stack.push_async_callback(asyncio.to_thread, tracer.close)
    return tracer
