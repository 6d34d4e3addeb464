"""One request of a client: authenticated, forwarded to an upstream, answered, logged.

In the order of the methods of `ProxyRequest`: Tornado calls `headers_received`, `data_received` and
`finish`, which answers or calls `_forward`; that sends the request to its route's `Upstream`, which
calls `on_response` and its siblings; they write the response. `_complete` counts and logs.

Built on Tornado's lower interface (`HTTPMessageDelegate`): `RequestHandler` would take a third of the
time of a forwarded request.
"""

import asyncio
import math
import time
from contextlib import suppress
from http import HTTPStatus
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError

from services.gateway.context import GatewayContext
from services.gateway.headers import encode_request, encode_response_head, missing_security_headers
from services.gateway.routes import Route, TokenRule
from services.gateway.upstream.request import Headers, UpstreamRequest
from shared.errors import AppError, NotFound, PayloadTooLarge
from shared.http import problems, request_ids, security_headers
from shared.i18n import negotiate
from shared.observability.metrics import METHODS, known_method

UNROUTED = "other"  # the route of unknown paths in metrics and logs
_NO_CONTENT = 204
_NO_BODY = frozenset({204, 304})
_CLIENT_CLOSED_REQUEST = 499  # nginx's status for it, known to operators
_IDLE_TIMEOUT = 75.0
_BODY_TIMEOUT = 10.0
_LINGERING_TIMEOUT = 2.0
_OPTIONS_HEADERS = [("Allow", ", ".join(METHODS)), *security_headers.STRICT.items()]


class ProxyRequest(HTTPMessageDelegate):
    """Receives one request from Tornado and writes its response. It is a `ResponseReceiver`.

    Args:
        context: what all requests share.
        connection: the client's connection.
    """

    __slots__ = (
        "_body", "_client", "_completed", "_connection", "_context", "_cors", "_deadline", "_fast_response",
        "_headers", "_method", "_problem", "_request_id", "_route", "_size", "_started", "_status", "_target",
        "_upstream_request",
    )  # fmt: skip

    def __init__(self, context: GatewayContext, connection: HTTP1Connection) -> None:
        self._context = context
        self._connection = connection
        self._body: list[bytes] = []
        self._size = 0
        self._status = 0
        self._problem = ""
        self._client = ""
        self._route: Route | None = None
        self._upstream_request: UpstreamRequest | None = None
        self._completed = False
        self._deadline = context.now() + _IDLE_TIMEOUT
        context.open_requests.add(self)

    def timed_out(self, now: float) -> bool:
        """Return whether the client has taken too long to send the request, or has gone."""
        stream = self._connection.stream
        return now > self._deadline or stream is None or stream.closed()

    def abort(self) -> None:
        """Close the client's connection."""
        self._connection.close()

    # Tornado calls these: the request.

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Receive the request's head.

        The request begins here; Tornado calls the constructor while the connection is still idle.
        """
        self._started = time.perf_counter()
        self._context.in_flight.enter()
        start_line = cast("RequestStartLine", start_line)
        self._method = start_line.method
        self._target = start_line.path
        self._headers = headers
        self._request_id = request_ids.accept_or_create(headers.get(request_ids.HEADER))
        # Where no Connection header and no chunked encoding are needed. Tornado decides at this point,
        # too, whether the connection is kept open.
        self._fast_response = (
            start_line.version == "HTTP/1.1"
            and self._method != "HEAD"
            and "Connection" not in headers
            and not self._connection.params.no_keep_alive
        )
        self._deadline = self._context.now() + _BODY_TIMEOUT
        self._cors = self._context.cors.headers(headers.get("Origin"))
        self._route, self._target = self._context.routes.match(self._target)
        self._client = self._context.client_addresses.of(self._connection, headers)
        length = headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._max_body:
            self._reject_unread_body()

    def data_received(self, chunk: bytes) -> None:
        """Receive a part of the body; what exceeds the limit is dropped."""
        self._size += len(chunk)
        if self._size <= self._max_body:
            self._body.append(chunk)

    def finish(self) -> None:
        """Receive the end of the request, and answer or forward it."""
        self._deadline = math.inf
        self._connection.set_close_callback(self.on_connection_close)
        if self._method == "OPTIONS":
            self._answer_options()
        elif self._route is None:
            self.on_error(NotFound())
        elif self._size > self._max_body:
            self.on_error(PayloadTooLarge())
        elif self._route.token is TokenRule.NONE:
            self._forward("")
        else:
            self._authenticate(required=self._route.token is TokenRule.REQUIRED)

    def on_connection_close(self) -> None:
        """Cancel the request: the client has gone."""
        if self._upstream_request is not None and not self._upstream_request.done:
            self._upstream_request.cancel()
        self._status = self._status or _CLIENT_CLOSED_REQUEST
        self._complete()

    @property
    def _max_body(self) -> int:
        return self._route.max_body if self._route else self._context.max_body

    def _answer_options(self) -> None:
        """Answer OPTIONS, CORS preflights among them, without the upstream."""
        self._cors = self._context.cors.preflight_headers(self._headers.get("Origin"))
        self._write_head(_NO_CONTENT, "No Content", _OPTIONS_HEADERS, b"")
        self._end_response()

    def _authenticate(self, *, required: bool) -> None:
        authorization = self._headers.get("Authorization")
        try:
            identity = self._context.authenticator.authenticate_cached(authorization, required=required)
        except AppError as error:
            self.on_error(error)
            return
        if identity is None:
            self._context.create_task(self._verify_token(authorization))
        else:
            self._forward(identity)

    async def _verify_token(self, authorization: str | None) -> None:
        try:
            identity = await self._context.authenticator.authenticate(authorization, self._client)
        except AppError as error:
            self.on_error(error)
        else:
            self._forward(identity)

    def _forward(self, identity: str) -> None:
        """Send the request to its upstream, with header lines that name the user and the session."""
        route = self._route
        if route is None or self._completed:  # the client has gone while its token was verified
            return
        data = encode_request(
            self._method,
            self._target,
            self._headers,
            b"".join(self._body),
            host=route.upstream.host_header,
            client=self._client,
            identity=identity,
            request_id=self._request_id,
            forward_authorization=route.forward_authorization,
        )
        self._upstream_request = UpstreamRequest(self._method, data, self, route.timeout)
        route.upstream.send(self._upstream_request)

    # The upstream calls these: the response.

    def on_response(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """Write a complete response."""
        if self._fast_response and status not in _NO_BODY:
            self._status = status
            head = encode_response_head(status, reason, headers, self._cors, self._request_id, len(body))
            self._connection.write(head + body)
        else:
            self._write_head(status, reason, headers, body)
        self._end_response()

    def on_response_start(self, status: int, reason: str, headers: Headers, data: bytes) -> None:
        """Write the head and the first part of a long response."""
        self._write_head(status, reason, headers, data)

    def on_response_data(self, data: bytes) -> None:
        """Write the next part; the upstream is read no faster than the client reads."""
        written = self._connection.write(data)
        request = self._upstream_request
        if request is not None and not written.done():
            request.pause_reading()
            written.add_done_callback(lambda _: request.resume_reading())

    def on_response_end(self) -> None:
        """End a response that came in parts."""
        self._end_response()

    def on_error(self, error: AppError) -> None:
        """Write a problem document, or close the connection if a response has begun."""
        if self._route is not None and self._upstream_request is not None:
            self._context.upstream_metrics.failures.labels(self._route.upstream.name, error.slug).inc()
        if self._status:
            self._problem = error.slug
            self._connection.close()
            self._complete()
        else:
            self._write_problem(error)
            self._end_response()

    def _write_problem(self, error: AppError, *, close: bool = False) -> None:
        self._problem = error.slug
        language = negotiate(self._headers.get("Accept-Language", ""))
        headers, body = problems.render(error, self._request_id, language)
        headers["Content-Length"] = str(len(body))
        if close:
            headers["Connection"] = "close"
        self._write_head(error.status, HTTPStatus(error.status).phrase, [*headers.items()], body)

    def _write_head(self, status: int, reason: str, headers: Headers, chunk: bytes) -> None:
        self._status = status
        outgoing = HTTPHeaders()
        for name, value in headers:
            outgoing.add(name, value)
        for name, value in (*missing_security_headers(name.lower() for name in outgoing), *self._cors):
            outgoing.add(name, value)
        outgoing.add(request_ids.HEADER, self._request_id)
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", status, reason), outgoing, chunk)

    def _end_response(self) -> None:
        with suppress(StreamClosedError):
            self._connection.finish()
        self._complete()

    def _reject_unread_body(self) -> None:
        """Answer 413 before the body is received, and close the connection."""
        self._write_problem(PayloadTooLarge(), close=True)
        self._context.create_task(_lingering_close(self._connection.detach()))
        self._complete()

    def _complete(self) -> None:
        """Count and log the request, once."""
        if self._completed:
            return
        self._completed = True
        self._upstream_request = None  # it refers back to this object
        self._context.in_flight.leave()
        self._context.open_requests.discard(self)
        route = self._route.prefix if self._route else UNROUTED
        seconds = time.perf_counter() - self._started
        method = known_method(self._method)
        self._context.http_metrics.observe(method, route, self._status, seconds)
        self._context.access_log.write(
            self._request_id, method, route, self._status, seconds, self._problem,
            self._context.pseudonyms.of(self._client),
        )  # fmt: skip


async def _lingering_close(stream: IOStream) -> None:
    """Close a connection whose client is still sending.

    What it sends is read and dropped for a while: closing at once would reset the connection, and the
    client could lose the response (RFC 9112 §9.6).
    """
    with suppress(StreamClosedError, TimeoutError):
        async with asyncio.timeout(_LINGERING_TIMEOUT):
            while True:
                await stream.read_bytes(65536, partial=True)
    stream.close()
