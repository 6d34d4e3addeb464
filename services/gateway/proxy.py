"""One request of a client: authenticated, forwarded to an upstream, answered, logged.

Tornado calls `headers_received`, which refuses what can be refused without the body, `data_received`, and
`finish`, which calls `_forward`; the route's `Upstream` calls `on_response` or its siblings, which write
the response. `_complete` counts and logs. Tornado's `RequestHandler` would take a third of the time.
"""

import time
from asyncio import Future
from collections.abc import Awaitable
from contextlib import suppress
from http import HTTPStatus
from typing import cast

import structlog
from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError

from services.gateway.context import GatewayContext
from services.gateway.framing import NO_BODY, frame
from services.gateway.headers import encode_request, encode_response_head, missing_security_headers
from services.gateway.operations import allowed, check_head
from services.gateway.routes import Route, TokenRule
from services.gateway.upstream.request import Headers, UpstreamRequest
from shared.errors import AppError, InternalError, NotFound, PayloadTooLarge
from shared.http import problems, request_ids, security_headers
from shared.http.refusals import lingering_close
from shared.http.request_connection import LARGE_BODY, RefusableRequest, RequestConnection
from shared.i18n import negotiate
from shared.observability.metrics import known_method

UNROUTED = "other"  # the route of unknown paths in metrics and logs
_CLIENT_CLOSED_REQUEST = 499  # nginx's status for it, known to operators
# From the head to the end of the body: later, the token that was checked with the head is checked again.
_TOKEN_CHECKED_SECONDS = 0.5

log = structlog.get_logger()


class ProxyRequest(RefusableRequest):
    """Receives one request from Tornado and writes its response. It is a `ResponseReceiver`.

    Args:
        context: what all requests share.
        connection: the client's connection.
    """

    __slots__ = (
        "_body", "_client", "_completed", "_connection", "_context", "_cors", "_fast_response",
        "_headers", "_identity", "_max_body", "_method", "_problem", "_request_id", "_route", "_size",
        "_started", "_status", "_target", "_upstream_request",
    )  # fmt: skip

    def __init__(self, context: GatewayContext, connection: RequestConnection) -> None:
        self._context = context
        self._connection = connection
        self._body: list[bytes] = []
        self._size = 0
        self._status = 0
        self._problem = ""
        self._client = ""
        self._route: Route | None = None
        self._upstream_request: UpstreamRequest | None = None
        self._identity = ""
        self._completed = False

    def write_refusal(self, error: AppError) -> None:
        """Write a problem document, unless a response has begun; the connection closes itself."""
        if not self._status:
            self._write_problem(error)

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Receive the request's head; its body is read once the returned awaitable is done.

        The request begins here; Tornado calls the constructor while the connection is still idle.
        """
        self._started = time.perf_counter()
        self._context.in_flight.enter()
        self._method, self._target, version = cast("RequestStartLine", start_line)
        self._headers = headers
        self._request_id = request_ids.accept_or_create(headers.get(request_ids.HEADER))
        # Where no Connection header and no chunked encoding are needed.
        self._fast_response = version == "HTTP/1.1" and self._method != "HEAD" and self._connection.keeps_open
        self._cors = self._context.cors.headers(headers.get("Origin"))
        self._route, self._target = self._context.routes.match(self._target)
        self._client = self._context.client_addresses.of(self._connection, headers)
        self._max_body = self._route.max_body if self._route else self._context.max_body
        try:
            return self._check_head(self._route)
        except AppError as error:
            self._answer_at_head(error)
        return None

    def data_received(self, chunk: bytes) -> None:
        """Receive a part of the body; it is dropped if it exceeds the limit or has been answered."""
        self._size += len(chunk)
        if self._size <= self._max_body:
            self._body.append(chunk)
        else:
            self._body.clear()

    def finish(self) -> None:
        """Receive the end of the request, and forward it."""
        late = self._identity and time.perf_counter() - self._started > _TOKEN_CHECKED_SECONDS
        self._connection.set_close_callback(self.on_connection_close)
        if self._status:  # answered at the head
            self._end_response()
        elif self._size > self._max_body:
            self.on_error(PayloadTooLarge())
        elif late:
            self._context.create_task(self._check_again())
        else:
            try:
                self._forward()
            except Exception:
                log.exception("request_not_forwarded", request_id=self._request_id)
                self.on_error(InternalError())

    def on_connection_close(self) -> None:
        """Cancel the request: the client has gone."""
        if self._upstream_request is not None and not self._upstream_request.done:
            self._upstream_request.cancel()
        if (error := self._connection.error) is not None:  # whose problem document is written elsewhere
            self._status, self._problem = error.status, error.slug
        self._status = self._status or _CLIENT_CLOSED_REQUEST
        self._complete()

    def _check_head(self, route: Route | None) -> Awaitable[None] | None:
        """Refuse what can be refused without the body; the token may still have to be verified."""
        operations, length = route.operations if route else None, self._headers.get("Content-Length", "0")
        size = check_head(operations, self._method, self._target, length, self._max_body)
        if self._method == "OPTIONS":
            preflight = "Origin" in self._headers
            self._answer_at_head(
                allow=allowed(operations, self._target, routed=route is not None, preflight=preflight)
            )
            return None
        if route is None:
            raise NotFound
        if operations and size > self._connection.stream.buffered:
            operations.check_body(self._method, self._target, self._headers)
        has_body = size > 0 or "Transfer-Encoding" in self._headers
        if route.token is not TokenRule.NONE and not (route.token_or_body and has_body):
            return self._authenticate(required=route.token is TokenRule.REQUIRED)
        return None

    def _answer_at_head(self, error: AppError | None = None, allow: str = "") -> None:
        """Refuse a request, or answer OPTIONS; the connection is closed if its body is still to come."""
        self._max_body = -1
        complete = self._connection.body_has_arrived
        if not complete:
            self._connection.close_after_response()
        if error is None:  # CORS preflights among them
            self._cors = self._context.cors.preflight_headers(self._headers.get("Origin"))
            headers = [("Allow", allow), *security_headers.STRICT.items()]
            self._write_head(204, "No Content", headers, b"")
        else:
            self._write_problem(error)
        if not complete:
            self._context.create_task(lingering_close(self._connection.detach()))
            self._complete()

    def _authenticate(self, *, required: bool) -> Awaitable[None] | None:
        authorization = self._headers.get("Authorization")
        identity = self._context.authenticator.authenticate_cached(authorization, required=required)
        if identity is None:
            return self._verify_token(authorization)
        self._identity = identity
        return None

    async def _verify_token(self, authorization: str | None) -> None:
        try:
            self._identity = await self._context.authenticator.authenticate(authorization, self._client)
        except AppError as error:
            self._answer_at_head(error)

    async def _check_again(self) -> None:
        """Forward a request whose body came long after its head, unless the session has ended since."""
        authenticator, authorization = self._context.authenticator, self._headers.get("Authorization")
        try:
            if authenticator.authenticate_cached(authorization, required=True) is None:
                self._identity = await authenticator.authenticate(authorization, self._client)
            self._forward()
        except AppError as error:
            self.on_error(error)
        except Exception:
            log.exception("request_not_forwarded", request_id=self._request_id)
            self.on_error(InternalError())

    def _forward(self) -> None:
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
            identity=self._identity,
            request_id=self._request_id,
            forward_authorization=route.forward_authorization,
            gateway=route.upstream.gateway_secret,
            deadline=route.upstream.deadline_line(route.timeout),
        )
        self._upstream_request = UpstreamRequest(self._method, data, self, route.timeout)
        route.upstream.send(self._upstream_request)

    def on_response(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """Write a complete response."""
        if self._fast_response and status not in NO_BODY:
            head = encode_response_head(status, reason, headers, self._cors, self._request_id, len(body))
            if len(body) > LARGE_BODY:
                self._connection.write(head)
                self._connection.write(body)
            else:
                self._connection.write(head + body)
            self._status = status
        else:
            self._write_head(status, reason, *frame(self._method, status, headers, body))
        self._end_response()

    def on_response_start(self, status: int, reason: str, headers: Headers, data: bytes) -> None:
        """Write the head and the first part of a long response."""
        self._hold_upstream(self._write_head(status, reason, headers, data))

    def on_response_data(self, data: bytes) -> None:
        """Write the next part; the upstream is read no faster than the client reads."""
        self._hold_upstream(self._connection.write(data))

    def on_response_end(self) -> None:
        """End a response that came in parts."""
        self._end_response()

    def on_error(self, error: AppError) -> None:
        """Write a problem document, or cut the connection off if a response has begun."""
        if self._completed:
            return
        if self._route is not None and self._upstream_request is not None:
            self._context.upstream_metrics.failures.labels(self._route.upstream.name, error.slug).inc()
        self._problem = error.slug
        try:
            if not self._status:
                self._write_problem(error)
                self._end_response()
        except Exception:
            log.exception("problem_not_written", request_id=self._request_id)
        finally:
            if not self._completed:
                self._status = self._status or error.status  # in the log and the metrics; nothing was sent
                self._connection.cut()
                self._complete()

    def _hold_upstream(self, written: Future[None]) -> None:
        if self._upstream_request is not None and not written.done():
            self._upstream_request.pause_until(written)

    def _write_problem(self, error: AppError) -> None:
        self._problem = error.slug
        language = negotiate(self._headers.get("Accept-Language", ""))
        headers, body = problems.render(error, self._request_id, language)
        headers["Content-Length"] = str(len(body))
        self._write_head(error.status, HTTPStatus(error.status).phrase, [*headers.items()], body)

    def _write_head(self, status: int, reason: str, headers: Headers, chunk: bytes) -> Future[None]:
        outgoing = HTTPHeaders()
        for name, value in headers:
            outgoing.add(name, value)
        for name, value in (*missing_security_headers(name.lower() for name in outgoing), *self._cors):
            outgoing.add(name, value)
        outgoing.add(request_ids.HEADER, self._request_id)
        start_line = ResponseStartLine("HTTP/1.1", status, reason)
        written = self._connection.write_headers(start_line, outgoing, chunk)
        self._status = status
        return written

    def _end_response(self) -> None:
        with suppress(StreamClosedError):
            self._connection.finish()
        self._complete()

    def _complete(self) -> None:
        """Count and log the request, once."""
        if self._completed:
            return
        self._completed = True
        self._upstream_request = None  # it refers back to this object
        self._context.in_flight.leave()
        route = self._route.prefix if self._route else UNROUTED
        seconds, method = time.perf_counter() - self._started, known_method(self._method)
        self._context.http_metrics.observe(method, route, self._status, seconds)
        self._context.access_log.write(
            self._request_id, method, route, self._status, seconds, self._problem,
            self._context.pseudonyms.of(self._client),
        )  # fmt: skip
