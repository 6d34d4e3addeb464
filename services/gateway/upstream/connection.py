"""One keep-alive connection to an upstream: writes a request, parses the response."""

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import cast

import httptools

from services.gateway.framing import NO_BODY
from services.gateway.headers import CORS_PREFIX, RESPONSE_HEADERS_DROPPED
from services.gateway.upstream.request import Headers, UpstreamRequest
from shared.errors import BadGateway

# Of a head, with interim responses in front of it; more than any server sends.
_MAX_HEAD_BYTES = 256 * 1024
# The classes of RFC 9110 §15; 101 would be the answer to a header that is never forwarded.
_FIRST_FINAL, _LAST_FINAL, _INTERIM = 200, 599, frozenset(range(100, 200)) - {101}


class _Response:
    """The response that is being parsed."""

    __slots__ = (
        "chunks", "complete", "connection_headers", "has_framing", "headers", "keep_alive", "reason",
        "started", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.reason = ""
        self.headers: Headers = []
        self.connection_headers: set[str] = set()
        self.chunks: list[bytes] = []
        self.has_framing = False
        self.started = False
        self.complete = False
        self.keep_alive = True

    def pop_body(self) -> bytes:
        """Return what has come of the body since the last call."""
        body = b"".join(self.chunks)
        self.chunks.clear()
        return body


class _SurplusData(Exception):
    """Data came behind a complete response."""


class _UnusableStatus(Exception):
    """The response has a status that is none, or that was not asked for."""


class UpstreamConnection(asyncio.Protocol):
    """A connection that carries one request at a time.

    Data that is not part of the response to its request closes the connection: it must not become the
    response to the next one. What is no response, or only a part of one, is an error of the request; so is
    any exception while a response is handed to its receiver.

    Args:
        on_idle: called with the connection when it can take another request.
        on_closed: called with the connection and, if a request has to be sent again on another
            one, that request.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        on_idle: Callable[["UpstreamConnection"], None],
        on_closed: Callable[["UpstreamConnection", UpstreamRequest | None], None],
    ) -> None:
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._parser = httptools.HttpResponseParser(self)
        self._request: UpstreamRequest | None = None
        self._responses = 0
        self._response = _Response()
        self._head_bytes = 0
        self._ended = False  # the upstream has ended the connection in order
        self._unread = select.poll()

    @property
    def usable(self) -> bool:
        """Whether another request can be written: the upstream has neither sent anything nor closed."""
        return not self.transport.is_closing() and not self._unread.poll(0)

    def start(self, request: UpstreamRequest) -> None:
        """Write a request; the connection must be idle."""
        self._request = request
        request.transport = self.transport
        self.transport.write(request.data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the connection is open."""
        self.transport = cast("asyncio.Transport", transport)
        self._unread.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Asyncio: parse data, and hand what is complete to the request's receiver."""
        if self._request is None:  # data without a request
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._response.keep_alive = False
            if not self._response.complete:
                self._give_up(self._request)
                return
        if self._response.complete:
            self._deliver_end()
        elif self._response.status:
            self._deliver_part()
        else:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._give_up(self._request)

    def eof_received(self) -> None:
        """Asyncio: the upstream has ended the connection, or over TLS perhaps somebody else."""
        tls = self.transport.get_extra_info("ssl_object")
        self._ended = tls is None or _is_closed(tls)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection is closed."""
        request, self._request = self._request, None
        retry = None
        try:
            if request is not None and not request.done:
                retry = self._end_unanswered(request, in_order=self._ended and exc is None)
        finally:
            self._on_closed(self, retry)

    def _give_up(self, request: UpstreamRequest) -> None:
        request.fail(BadGateway())
        self.transport.abort()

    def _end_unanswered(self, request: UpstreamRequest, *, in_order: bool) -> UpstreamRequest | None:
        """Return the request if it has to be sent again; else end it."""
        if self._response.status and not self._response.has_framing and in_order:
            self._end(request)  # such a body ends where the connection is closed
            return None
        if self._responses and not self._response.status and request.may_retry:
            request.retried = True
            return request
        request.fail(BadGateway())
        return None

    # Callbacks of httptools, called by `feed_data`.

    def on_message_begin(self) -> None:
        """End parsing if the response is complete already."""
        if self._response.complete:
            raise _SurplusData

    def on_status(self, status: bytes) -> None:
        """Keep the reason phrase, which may come in parts; one that is not plain text is dropped."""
        reason = self._response.reason + status.decode("latin1")
        self._response.reason = reason if reason.isascii() and reason.isprintable() else ""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header unless the gateway does not forward it, or it is a trailer."""
        if self._response.status:
            return
        lower = name.lower()
        if lower in {b"content-length", b"transfer-encoding"} and value != b"0":
            self._response.has_framing = True
        if lower == b"connection":
            self._keep_connection_headers(value)
        if lower not in RESPONSE_HEADERS_DROPPED and not lower.startswith(CORS_PREFIX):
            # Blanks around it are no part of a value (RFC 9110 §5.5); httptools leaves those behind it.
            self._response.headers.append((name.decode("latin1"), value.strip().decode("latin1")))

    def on_headers_complete(self) -> None:
        """End the head; interim responses (1xx) are skipped."""
        status = self._parser.get_status_code()
        if not _FIRST_FINAL <= status <= _LAST_FINAL:
            if status not in _INTERIM:
                raise _UnusableStatus
            self._response = _Response()
            return
        self._response.status = status
        if self._response.connection_headers:
            self._response.headers = [
                pair
                for pair in self._response.headers
                if pair[0].lower() not in self._response.connection_headers
            ]
        if self._request is not None and self._request.method == "HEAD":
            # The parser would wait for a body, so it cannot be used again.
            self._response.complete = True
            self._response.keep_alive = False
        elif status in NO_BODY and self._response.has_framing:
            # A body may follow, which must not become the response to another request.
            self._response.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body; the response to HEAD has none, whatever the upstream sends."""
        if not self._response.complete:
            self._response.chunks.append(body)

    def on_message_complete(self) -> None:
        """End the response."""
        if self._response.status:
            self._response.complete = True
            self._response.keep_alive = self._response.keep_alive and self._parser.should_keep_alive()

    def _keep_connection_headers(self, value: bytes) -> None:
        names = {name.strip().lower() for name in value.decode("latin1").split(",")}
        self._response.connection_headers |= names - {"close", "keep-alive"}

    def _deliver_part(self) -> None:
        request, response = self._request, self._response
        if request is None or request.done:
            return
        data = response.pop_body()
        request.restart_timer()
        try:
            if not response.started:
                response.started = True
                request.receiver.on_response_start(response.status, response.reason, response.headers, data)
            elif data:
                request.receiver.on_response_data(data)
        except Exception as error:  # noqa: BLE001 - the client must not be left without an answer
            request.break_off(error)
            self.transport.abort()

    def _deliver_end(self) -> None:
        request, self._request = self._request, None
        self._responses += 1
        self._head_bytes = 0
        if request is not None and not request.done:
            self._end(request)
        # A response that came before the whole request was written leaves the rest of it on the connection.
        keep_alive = self._response.keep_alive and not self.transport.get_write_buffer_size()
        if self._response.started and not self.transport.is_closing():  # reading may be paused
            self.transport.resume_reading()
        self._response = _Response()
        if keep_alive:
            self._on_idle(self)
        else:
            self.transport.abort()  # close() would wait for the rest of the request to be written

    def _end(self, request: UpstreamRequest) -> None:
        request.finish()
        request.transport = None
        response = self._response
        body = response.pop_body()
        try:
            if not response.started:
                request.receiver.on_response(response.status, response.reason, response.headers, body)
                return
            if body:
                request.receiver.on_response_data(body)
            request.receiver.on_response_end()
        except Exception as error:  # noqa: BLE001 - as above
            request.break_off(error)


def _is_closed(tls: ssl.SSLObject) -> bool:
    """Return whether the peer has closed a TLS connection itself, by a close_notify (RFC 8446 §6.1)."""
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:  # it waits for more
        return False
