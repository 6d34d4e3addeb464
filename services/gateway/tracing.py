"""A `ProxyRequest` that records a span; a class of its own, so that tracing costs nothing while it is off."""

from collections.abc import Awaitable

from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine

from services.gateway.context import GatewayContext
from services.gateway.proxy import UNROUTED, ProxyRequest
from shared.http.request_connection import RequestConnection
from shared.observability.metrics import known_method
from shared.observability.tracing import Span, SpanKind


class TracedProxyRequest(ProxyRequest):
    """Continues the client's trace, or begins one, and propagates it to the upstream."""

    __slots__ = ("_span",)

    def __init__(self, context: GatewayContext, connection: RequestConnection) -> None:
        super().__init__(context, connection)
        self._span = Span()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Begin the span and put its context into the headers, which are forwarded."""
        self._span = self._context.tracer.start_span(SpanKind.SERVER, "request", headers)
        for name, value in self._span.inject().items():
            headers[name] = value
        return super().headers_received(start_line, headers)

    def _complete(self) -> None:
        if not self._completed:
            super()._complete()
            route = self._route.prefix if self._route else UNROUTED
            method = known_method(self._method)
            self._span.end_request(method, route, self._status, self._request_id)
