"""One request of a client: admitted or refused at the edge, forwarded, answered, logged.

Built on Tornado's lower interface (`HTTPMessageDelegate`) instead of `RequestHandler`, which would
cost a third of the time of a forwarded request.
"""

import asyncio
import math
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError

from services.gateway.auth.authenticator import TokenRule
from services.gateway.headers import encode_head, forwarded_request
from services.gateway.lingering import linger
from services.gateway.routes import Route
from services.gateway.upstream.request import Headers, UpstreamCall
from shared.errors import AppError, NotFound, PayloadTooLarge
from shared.http import problems, request_ids
from shared.i18n import negotiate
from shared.observability.metrics import known_method

if TYPE_CHECKING:
    from services.gateway.server import Edge

_NO_CONTENT = 204
_BODILESS = frozenset({204, 304})
_CLIENT_GONE = 499  # nginx's number for it, known to operators
# Tornado's own limits cost a timer each per request; here one sweep a second looks at all.
_IDLE_SECONDS = 75.0
_BODY_SECONDS = 10.0
_UNROUTED = "other"


class Exchange(HTTPMessageDelegate):
    """Takes one request from Tornado and writes its response.

    Args:
        edge: what all requests share.
        connection: the client's connection.
    """

    __slots__ = (
        "_body", "_call", "_connection", "_cors", "_deadline", "_edge", "_finished", "_headers", "_method",
        "_plain", "_problem", "_request_id", "_route", "_size", "_started", "_status", "_target",
    )  # fmt: skip

    def __init__(self, edge: "Edge", connection: HTTP1Connection) -> None:
        self._edge = edge
        self._connection = connection
        self._body: list[bytes] = []
        self._size = 0
        self._status = 0
        self._problem = ""
        self._route: Route | None = None
        self._call: UpstreamCall | None = None
        self._finished = False
        self._deadline = edge.now() + _IDLE_SECONDS
        edge.watch(self)

    def overdue(self, now: float) -> bool:
        """Tell whether the client has taken too long to send a request, or its connection is gone."""
        stream = self._connection.stream
        return now > self._deadline or stream is None or stream.closed()

    def abandon(self) -> None:
        """Close the connection of a client that has taken too long."""
        self._connection.close()

    # Tornado's side: the request comes in.

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Take the request's head.

        Work begins here and not at construction, which Tornado does while a connection is idle.
        """
        self._started = time.perf_counter()
        self._edge.in_flight.enter()
        start_line = cast("RequestStartLine", start_line)
        self._method = start_line.method
        self._target = start_line.path
        self._headers = headers
        self._request_id = request_ids.accept_or_create(headers.get(request_ids.HEADER))
        # Tornado decides at this point, too, whether the connection is kept.
        self._plain = (
            start_line.version == "HTTP/1.1"
            and self._method != "HEAD"
            and "Connection" not in headers
            and not self._connection.params.no_keep_alive
        )
        self._deadline = self._edge.now() + _BODY_SECONDS
        self._cors = self._edge.cors.headers(headers.get("Origin"))
        self._route = self._edge.routes.match(self._target)
        length = headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._max_body:
            self._refuse_unread()

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; what is beyond the limit is dropped."""
        self._size += len(chunk)
        if self._size <= self._max_body:
            self._body.append(chunk)

    def finish(self) -> None:
        """Answer, the whole request being there."""
        self._deadline = math.inf
        self._connection.set_close_callback(self.on_connection_close)
        if self._method == "OPTIONS":
            self._answer_options()
        elif self._route is None:
            self.failed(NotFound())
        elif self._size > self._max_body:
            self.failed(PayloadTooLarge())
        elif self._route.token is TokenRule.NONE:
            self.admitted("")
        else:
            self._edge.access.admit(self._headers.get("Authorization"), self._route.token, self)

    def admitted(self, identity: str) -> None:
        """Forward the request; `identity` are header lines that tell the upstream who asks."""
        route = self._route
        if route is None or self._finished:  # the client has gone while its token was verified
            return
        address = self._edge.addresses.find(
            self._edge.peer(self._connection), self._headers.get("X-Forwarded-For")
        )
        request = forwarded_request(
            self._method,
            self._target,
            self._headers,
            b"".join(self._body),
            host=route.upstream.host_header,
            client=address,
            identity=identity,
            request_id=self._request_id,
        )
        self._call = UpstreamCall(self._method, request, self, route.timeout)
        route.upstream.send(self._call)

    def on_connection_close(self) -> None:
        """Give up: the client has gone."""
        if self._call is not None and not self._call.done:
            self._call.cancel()
        self._status = self._status or _CLIENT_GONE
        self._done()

    # The upstream's side: the response comes in.

    def answered(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """Pass on a whole response."""
        if self._plain and status not in _BODILESS:
            self._status = status
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            head = encode_head(status, reason, headers, self._cors, self._request_id, len(body))
            self._connection.write(head + body)
        else:
            self._write_head(status, reason, headers, body)
        self._end()

    def began(self, status: int, reason: str, headers: Headers, chunk: bytes) -> None:
        """Pass on the beginning of a long response."""
        self._write_head(status, reason, headers, chunk)

    def continued(self, chunk: bytes) -> None:
        """Pass on a further part, no faster than the client takes it."""
        written = self._connection.write(chunk)
        call = self._call
        if call is not None and not written.done():
            call.pause()
            written.add_done_callback(lambda _: call.resume())

    def ended(self) -> None:
        """Close a response that was passed on in parts."""
        self._end()

    def failed(self, error: AppError) -> None:
        """Answer with a problem document, or break off a response that has begun."""
        if self._route is not None and self._call is not None:
            self._edge.upstream_metrics.failures.labels(self._route.upstream.name, error.slug).inc()
        self._problem = error.slug
        if self._status:
            self._connection.close()
            self._done()
            return
        headers, body = self._problem_document(error)
        self._write_head(error.status, HTTPStatus(error.status).phrase, [*headers.items()], body)
        self._end()

    @property
    def _max_body(self) -> int:
        return self._route.max_body if self._route else self._edge.max_body

    def _answer_options(self) -> None:
        """Answer preflights and other OPTIONS without asking the upstream."""
        self._cors = self._edge.cors.preflight_headers(self._headers.get("Origin"))
        self._write_head(_NO_CONTENT, "No Content", [("Allow", self._edge.methods)], b"")
        self._end()

    def _problem_document(self, error: AppError) -> tuple[dict[str, str], bytes]:
        language = negotiate(self._headers.get("Accept-Language", ""))
        headers, body = problems.render(error, self._request_id, language)
        headers["Content-Length"] = str(len(body))
        return headers, body

    def _write_head(self, status: int, reason: str, headers: Headers, chunk: bytes) -> None:
        self._status = status
        outgoing = HTTPHeaders()
        for name, value in headers:
            outgoing.add(name, value)
        for name, value in self._cors:
            outgoing.add(name, value)
        outgoing.add(request_ids.HEADER, self._request_id)
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", status, reason), outgoing, chunk)

    def _end(self) -> None:
        with suppress(StreamClosedError):
            self._connection.finish()
        self._done()

    def _refuse_unread(self) -> None:
        """Answer 413 before the body comes, and leave the client time to read the answer."""
        error = PayloadTooLarge()
        self._problem = error.slug
        headers, body = self._problem_document(error)
        headers["Connection"] = "close"
        self._write_head(error.status, HTTPStatus(error.status).phrase, [*headers.items()], body)
        stream = self._connection.detach()
        self._edge.keep(asyncio.create_task(linger(stream)))
        self._done()

    def _done(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._call = None  # it refers back to the exchange
        self._edge.in_flight.leave()
        self._edge.forget(self)
        route = self._route.prefix if self._route else _UNROUTED
        seconds = time.perf_counter() - self._started
        method = known_method(self._method)
        self._edge.http_metrics.observe(method, route, self._status, seconds)
        self._edge.access_log.write(self._request_id, method, route, self._status, seconds, self._problem)
