"""One connection to an upstream: the request out, the response in."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from services.gateway.upstream.request import Headers, UpstreamCall
from shared.errors import BadGateway

# Hop-by-hop (RFC 9110 §7.6.1), and what only the gateway says.
_NOT_FORWARDED = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade", b"server", b"x-request-id",
    }
)  # fmt: skip
_CORS_PREFIX = b"access-control-"


class _Response:
    """What has come of the current response."""

    __slots__ = (
        "began",
        "complete",
        "framed",
        "headers",
        "hop_headers",
        "parts",
        "reason",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.reason = b""
        self.headers: Headers = []
        self.hop_headers: set[str] = set()
        self.parts: list[bytes] = []
        self.framed = False
        self.began = False
        self.complete = False
        self.reusable = True

    def take_body(self) -> bytes:
        body = b"".join(self.parts)
        self.parts.clear()
        return body


class UpstreamConnection(asyncio.Protocol):
    """A keep-alive connection that carries one request at a time.

    Args:
        on_free: called with the connection when it can take another request.
        on_lost: called with the connection and the call it was working on, if any, to be retried.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        on_free: Callable[["UpstreamConnection"], None],
        on_lost: Callable[["UpstreamConnection", UpstreamCall | None], None],
    ) -> None:
        self._on_free = on_free
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._call: UpstreamCall | None = None
        self._served = 0
        self._response = _Response()

    def start(self, call: UpstreamCall) -> None:
        """Send a request; the connection must be free."""
        self._call = call
        call.connection = self
        self.transport.write(call.request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came and pass on what is ready."""
        if self._call is None:  # nobody asked for anything
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._call.fail(BadGateway())
            self.transport.abort()
            return
        if self._response.complete:
            self._deliver_end()
        elif self._response.status:
            self._deliver_part()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the request that was under way."""
        call, self._call = self._call, None
        retry = None
        if call is not None and not call.done:
            retry = self._settle_lost(call)
        self._on_lost(self, retry)

    def _settle_lost(self, call: UpstreamCall) -> UpstreamCall | None:
        if self._response.status and not self._response.framed:  # such a body ends with the connection
            self._end(call)
            return None
        if self._served and not self._response.status and call.may_retry:
            call.retried = True
            return call
        call.fail(BadGateway())
        return None

    # httptools' callbacks, while feed_data runs.

    def on_status(self, status: bytes) -> None:
        """Take the reason phrase."""
        self._response.reason = status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, unless it is for this hop only."""
        lower = name.lower()
        if lower in {b"content-length", b"transfer-encoding"}:
            self._response.framed = True
        if lower == b"connection":
            self._note_hop_headers(value)
        if lower not in _NOT_FORWARDED and not lower.startswith(_CORS_PREFIX):
            self._response.headers.append((name.decode("latin1"), value.decode("latin1")))

    def on_headers_complete(self) -> None:
        """Note that the head is there; an interim response (1xx) is skipped."""
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - RFC 9110 §15.2
            self._response = _Response()
            return
        self._response.status = status
        if self._response.hop_headers:
            self._response.headers = [
                pair for pair in self._response.headers if pair[0].lower() not in self._response.hop_headers
            ]
        if self._call is not None and self._call.method == "HEAD":
            # The parser cannot know that no body follows, so it is of no use after this.
            self._response.complete = True
            self._response.reusable = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._response.parts.append(body)

    def on_message_complete(self) -> None:
        """Note that the response is complete."""
        if self._response.status:
            self._response.complete = True
            self._response.reusable = self._response.reusable and self._parser.should_keep_alive()

    def _note_hop_headers(self, value: bytes) -> None:
        tokens = {token.strip().lower() for token in value.decode("latin1").split(",")}
        self._response.hop_headers = tokens - {"close", "keep-alive"}

    def _deliver_part(self) -> None:
        call, response = self._call, self._response
        if call is None or call.done:
            return
        chunk = response.take_body()
        call.restart_timer()
        if not response.began:
            response.began = True
            call.receiver.began(response.status, response.reason.decode("latin1"), response.headers, chunk)
        elif chunk:
            call.receiver.continued(chunk)

    def _deliver_end(self) -> None:
        call, self._call = self._call, None
        self._served += 1
        if call is not None and not call.done:
            self._end(call)
        reusable = self._response.reusable
        self._response = _Response()
        if reusable:
            self._on_free(self)
        else:
            self.transport.close()

    def _end(self, call: UpstreamCall) -> None:
        call.finish()
        call.connection = None
        response = self._response
        body = response.take_body()
        if not response.began:
            call.receiver.answered(response.status, response.reason.decode("latin1"), response.headers, body)
            return
        if body:
            call.receiver.continued(body)
        call.receiver.ended()
