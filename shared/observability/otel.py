"""Tracing by OpenTelemetry, exported in batches by a background thread; imported only if enabled.

The SDK reads its own variables: OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_SCHEDULE_DELAY…
Without a collector spans are dropped: the export queue is bounded.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.observability.tracing import Attributes, Span, SpanKind, Tracer

_EXPORT_SECONDS = 5
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelSpan(Span):
    """A span of the OpenTelemetry SDK."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def attach(self) -> None:
        """Make it the task's current span and add its trace id to the task's log lines."""
        context.attach(trace.set_span_in_context(self._span))
        _log_trace_id(self._span)

    def inject(self) -> dict[str, str]:
        """Return `traceparent`, and `tracestate` if there is one."""
        return _inject(trace.set_span_in_context(self._span))

    def set_attributes(self, attributes: Attributes, name: str = "") -> None:
        """Set attributes, and the name if given."""
        self._span.set_attributes(attributes)
        if name:
            self._span.update_name(name)

    def end(self, *, failed: bool = False) -> None:
        """End the span."""
        if failed:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class OtelTracer(Tracer):
    """Records spans and sends them to a collector.

    Args:
        service: the service's name in the traces, after `dialpass-`.
        endpoint: the collector's base URL.
    """

    on = True

    def __init__(self, service: str, endpoint: str) -> None:
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_EXPORT_SECONDS)
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"dialpass-{service}"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dialpass")

    def start_span(self, kind: SpanKind, name: str, carrier: Mapping[str, object] | None = None) -> Span:
        """Start a span; the caller ends it."""
        return OtelSpan(self._tracer.start_span(name, _parent(carrier), trace.SpanKind[kind.name]))

    @contextmanager
    def span(
        self, kind: SpanKind, name: str, attributes: Attributes, carrier: Mapping[str, object] | None = None
    ) -> Iterator[None]:
        """Record a block as a span; an exception marks it as failed, with the exception's class only."""
        with self._tracer.start_as_current_span(
            name, _parent(carrier), trace.SpanKind[kind.name], attributes,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield
            except Exception as error:
                # Not its text: a library's error may contain a number or a URL.
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise

    def inject(self) -> dict[str, str]:
        """Return the headers of the current span."""
        return _inject(context.get_current())

    def close(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()


def _parent(carrier: Mapping[str, object] | None) -> context.Context:
    if carrier is None:
        return context.get_current()
    headers = {name.lower(): value for name, value in carrier.items() if isinstance(value, str)}
    return _PROPAGATOR.extract(headers)


def _inject(span_context: context.Context) -> dict[str, str]:
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers, span_context)
    return headers


def _log_trace_id(span: trace.Span) -> None:
    structlog.contextvars.bind_contextvars(trace_id=trace.format_trace_id(span.get_span_context().trace_id))
