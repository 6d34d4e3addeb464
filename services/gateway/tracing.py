"""An exchange that is a span of a trace. In a file of its own, so that those without one pay nothing."""

from typing import TYPE_CHECKING

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine

from services.gateway.proxy import Exchange
from shared.observability.metrics import known_method
from shared.observability.tracing import Span, SpanKind

if TYPE_CHECKING:
    from services.gateway.server import Edge


class TracedExchange(Exchange):
    """Continues the client's trace, or begins one, and hands it on to the upstream."""

    __slots__ = ("_span",)

    def __init__(self, edge: "Edge", connection: HTTP1Connection) -> None:
        super().__init__(edge, connection)
        self._span = Span()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Begin the span, and put it into the headers, which are forwarded."""
        self._span = self._edge.tracer.start_span(SpanKind.SERVER, "request", headers)
        for name, value in self._span.inject().items():
            headers[name] = value
        super().headers_received(start_line, headers)

    def _done(self) -> None:
        if not self._finished:
            super()._done()
            route = self._route.prefix if self._route else "other"
            method = known_method(self._method)
            self._span.end_request(method, route, self._status, self._request_id)
