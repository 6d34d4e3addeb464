"""A client's connection: its requests are read one after the other, and answered in order."""

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from typing import cast

import structlog
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError, UnsatisfiableReadError

from shared.errors import AppError, PayloadTooLarge, RequestTimeout
from shared.http import request_head, request_ids
from shared.http.client_stream import ClientStream
from shared.http.dates import http_date
from shared.http.limits import ConnectionLimits
from shared.http.refusals import LINGERING_SECONDS, encode_refusal, end_writing, refuse
from shared.observability.metrics import ConnectionMetrics

# Of such a body no copy is made: many clients may be reading the same one.
LARGE_BODY = 16 * 1024
_MAX_IN_A_ROW = 16
_NO_BODY = frozenset({204, 304})
# Of SO_LINGER: close() resets the connection.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

log = structlog.get_logger()


class RefusableRequest(HTTPMessageDelegate):
    """A request that writes its own answer where its body does not come."""

    def write_refusal(self, error: AppError) -> None:
        """Write the problem document, unless a response has begun."""
        raise NotImplementedError


class RequestConnection(HTTP1Connection):
    """Tornado's connection for one request and its response, with a strict reading of the request.

    Attributes:
        stream: the client's connection; None once it has been detached.
        error: why the body could not be read, or None.
    """

    stream: ClientStream
    error: AppError | None = None
    _body_began: float | None = None
    _body_size = 0
    # The size when it last changed, as far as `body_overdue` has seen, and when that was.
    _body_seen = (0, 0.0)

    @property
    def keeps_open(self) -> bool:
        """Whether the connection is kept open after the response, as far as the request is known."""
        return not self._disconnect_on_finish

    @property
    def body_has_arrived(self) -> bool:
        """Whether the body is here already, so that it can be dropped without waiting for the client."""
        headers = self._request_headers or HTTPHeaders()
        if "Transfer-Encoding" in headers or "Expect" in headers:
            return False
        return int(headers.get("Content-Length", "0")) <= self.stream.buffered

    def close_after_response(self) -> None:
        """Announce in the response that the connection will be closed, and do so after it."""
        self._disconnect_on_finish = True

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Tornado: write the head, and the body or its first part, which is not copied if it is large."""
        if "Date" not in headers:
            headers["Date"] = http_date()
        request = self._request_start_line
        if request is not None:
            if request.version == "HTTP/1.0":
                self._end_with_connection(request.method, cast("ResponseStartLine", start_line).code, headers)
            if request.method == "HEAD":
                chunk = None
        if chunk is None or len(chunk) <= LARGE_BODY:
            return super().write_headers(start_line, headers, chunk)
        super().write_headers(start_line, headers)
        return self.write(chunk)

    def _end_with_connection(self, method: str, status: int, headers: HTTPHeaders) -> None:
        """Close the connection of a client of HTTP/1.0 after a body whose end it could not find otherwise."""
        has_end = "Content-Length" in headers or method == "HEAD" or status in _NO_BODY
        if not has_end:
            self._disconnect_on_finish = True
        headers["Connection"] = "close" if self._disconnect_on_finish else "keep-alive"
        # Tornado would announce that the connection is kept wherever the client has asked for it.
        self._request_headers = HTTPHeaders()

    def cut(self) -> None:
        """Close the connection in the middle of a response, so that it cannot be taken for a whole one.

        In HTTP/1.1 the last chunk, or a part of the length, is missing. In HTTP/1.0 the end of the
        connection may be the end of the body; so it is reset.
        """
        request = self._request_start_line
        if self.stream is not None and request is not None and request.version == "HTTP/1.0":
            with suppress(OSError, AttributeError):  # it is closed already
                self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def body_overdue(self, now: float, limits: ConnectionLimits) -> bool:
        """Return whether the request's body comes too slowly; to be called regularly."""
        if self._body_began is None or self._read_finished or self.error is not None:
            return False
        size, since = self._body_seen
        if size != self._body_size:
            size, since = self._body_seen = (self._body_size, now)
        slowest = limits.body_seconds + size / limits.body_rate
        return now - since > limits.body_idle_seconds or now - self._body_began > slowest

    def time_out(self, request: HTTPMessageDelegate) -> None:
        """Answer 408 to a request whose body does not come, and close the connection soon after."""
        self.error = RequestTimeout()
        self._disconnect_on_finish = True
        with suppress(StreamClosedError):
            if isinstance(request, RefusableRequest):
                request.write_refusal(self.error)
            elif self._response_start_line is None:
                headers = self._request_headers or HTTPHeaders()
                self.stream.write(encode_refusal(self.error, headers.get(request_ids.HEADER)))
        self._write_finished = True  # then Tornado drops what still comes of the body
        end_writing(self.stream)
        asyncio.get_running_loop().call_later(LINGERING_SECONDS, self.close)

    def _parse_headers(self, data: bytes) -> tuple[str, HTTPHeaders]:
        """Tornado: parse the head. An `AppError` ends the connection with a problem document."""
        self.stream.awaiting_since = math.inf
        parsed = request_head.parse(data, self.params.max_header_size)
        self.stream.fresh = False
        return parsed

    def _can_keep_alive(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> bool:
        """Tornado: whether another request may follow; `Connection` is a list (RFC 9110 §7.6.1)."""
        if self.params.no_keep_alive:
            return False
        lines = headers.get_list("Connection")  # where there are none, much faster than `in`
        if not lines:
            return start_line.version == "HTTP/1.1"
        options = {option.strip().lower() for option in ",".join(lines).split(",")}
        return "close" not in options and (start_line.version == "HTTP/1.1" or "keep-alive" in options)

    def _read_body(
        self, code: int, headers: HTTPHeaders, delegate: HTTPMessageDelegate
    ) -> Awaitable[None] | None:
        """Tornado: read the body, if there is one; `body_overdue` watches how long that takes.

        Without what Tornado checks here: `request_head` has done so.
        """
        lengths = headers.get_list("Content-Length")
        length = int(lengths[0]) if lengths else 0
        chunked = not lengths and bool(headers.get_list("Transfer-Encoding"))
        if not (length or chunked):
            return None
        if length > self._max_body_size:
            self.error = PayloadTooLarge()
            raise self.error
        self._body_began = now = asyncio.get_running_loop().time()
        self._body_seen = (0, now)
        return self._read_chunked_body(delegate) if chunked else self._read_fixed_body(length, delegate)

    async def _deliver_body(self, delegate: HTTPMessageDelegate, data: bytes) -> None:
        """Tornado: hand a part of the body to the application."""
        self._body_size += len(data)
        await super()._deliver_body(delegate, data)

    async def _read_chunked_body(self, delegate: HTTPMessageDelegate) -> None:
        """Tornado: read a chunked body; a malformed one is answered as a malformed head."""
        try:
            await super()._read_chunked_body(delegate)
        except HTTPInputError as error:
            self.error = PayloadTooLarge() if "too large" in str(error) else request_head.malformed()
            raise self.error from error


class ClientConnection:
    """Serves the requests of one client until the connection is closed.

    Args:
        stream: the client's connection.
        params: Tornado's parameters, shared by all connections.
        delegate: makes a delegate for each request.
        metrics: counts what cannot be read, unless None.

    Attributes:
        stream: the client's connection.
        remote_ip: the client's address.
        protocol: as Tornado's requests have it; TLS ends in front of the services.
    """

    protocol = "http"

    def __init__(
        self,
        stream: ClientStream,
        params: HTTP1ConnectionParameters,
        delegate: HTTPServerConnectionDelegate,
        metrics: ConnectionMetrics | None = None,
    ) -> None:
        self.stream = stream
        self._current: tuple[RequestConnection, HTTPMessageDelegate] | None = None
        self.remote_ip = stream.address
        self._params = params
        self._delegate = delegate
        self._metrics = metrics

    async def serve(self) -> None:
        """Serve requests until one of them is the last."""
        served = 0
        try:
            # A stream that has been closed still gives out requests that had been received before.
            while not self.stream.closed():
                connection = RequestConnection(self.stream, False, self._params, self)  # noqa: FBT003
                request = self._delegate.start_request(self, connection)
                self._current = (connection, request)
                if not await connection.read_response(request):
                    break
                served += 1
                # Requests that come without a pause must not starve other connections.
                if self.stream.buffered or served % _MAX_IN_A_ROW == 0:
                    await asyncio.sleep(0)
        except (StreamClosedError, UnsatisfiableReadError):
            pass
        except AppError as error:
            if self._metrics is not None:
                self._metrics.malformed.labels(error.slug).inc()
            await refuse(self.stream, error)
        except Exception:
            log.exception("connection_failed")
            self.stream.close()
        finally:
            self._current = None
            self._delegate.on_close(self)

    def time_out_body(self, now: float, limits: ConnectionLimits) -> bool:
        """End the current request if its body comes too slowly, and return whether that is so."""
        if self._current is None:
            return False
        connection, request = self._current
        overdue = connection.body_overdue(now, limits)
        if overdue:
            connection.time_out(request)
        return overdue
