"""A request to an upstream, and the interfaces of the two ends that it connects."""

import asyncio
from typing import Protocol

import structlog

from shared.errors import AppError, BadGateway, GatewayTimeout
from shared.http.client_stream import unacknowledged

Headers = list[tuple[str, str]]

# Safe to repeat on another connection when the first one turns out to be dead (RFC 9110 §9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

log = structlog.get_logger()


class ResponseReceiver(Protocol):
    """Receives the response: by `on_response` when it came in one piece, else in parts.

    A response in parts is one `on_response_start`, any number of `on_response_data`, and one
    `on_response_end`. `on_error` may come instead of any of these and is the last call.
    """

    def on_response(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """Receive a complete response."""

    def on_response_start(self, status: int, reason: str, headers: Headers, data: bytes) -> None:
        """Receive the head of a long response and the first part of its body."""

    def on_response_data(self, data: bytes) -> None:
        """Receive the next part of the body."""

    def on_response_end(self) -> None:
        """Receive the end of a response that came in parts."""

    def on_error(self, error: AppError) -> None:
        """Receive the reason why there is no response, or no more of it."""


class UpstreamRequest:
    """One request, from `Upstream.send` until its receiver has the whole response or an error.

    Args:
        method: the HTTP method.
        data: the whole request as it is written to the connection.
        receiver: receives the response.
        timeout: seconds until the response must begin, and between the parts of a long one. They do not
            pass while the upstream takes the request, nor while the client takes the response.

    Attributes:
        transport: the connection that the request was written to, or None.
        done: whether the receiver has had its last call.
        retried: whether the request has been sent a second time.
    """

    __slots__ = (
        "_timeout", "_timer", "_unsent", "data", "done", "method", "receiver", "retried", "transport",
    )  # fmt: skip

    def __init__(self, method: str, data: bytes, receiver: ResponseReceiver, timeout: float) -> None:
        self.method = method
        self.data = data
        self.receiver = receiver
        self.transport: asyncio.Transport | None = None
        self.done = False
        self.retried = False
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self.restart_timer()

    @property
    def may_retry(self) -> bool:
        """Whether the request can be sent again without being executed twice."""
        return self.method in _IDEMPOTENT and not self.retried

    def restart_timer(self) -> None:
        """Allow the full timeout for the next part of the response."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._on_timeout)

    def finish(self) -> None:
        """Mark the request as done and stop its timer."""
        self.done = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # it refers back to the request

    def fail(self, error: AppError) -> None:
        """Report an error to the receiver, unless the request is done."""
        if not self.done:
            self.finish()
            self.receiver.on_error(error)

    def break_off(self, error: Exception) -> None:
        """End the request after an exception in its receiver, which may be done or not."""
        log.error("response_not_passed_on", method=self.method, exc_info=error)
        self.finish()
        self.receiver.on_error(BadGateway())

    def cancel(self) -> None:
        """Drop the request and its connection without a call to the receiver."""
        self.finish()
        self._abort_connection()

    def pause_until(self, written: asyncio.Future[None]) -> None:
        """Stop reading the response until `written` is done; meanwhile the upstream has no time limit."""
        if self.transport is not None and not self.done and not self.transport.is_closing():
            self.transport.pause_reading()
            if self._timer is not None:
                self._timer.cancel()
            written.add_done_callback(self._resume_reading)

    def _resume_reading(self, _: asyncio.Future[None]) -> None:
        if self.transport is not None and not self.done and not self.transport.is_closing():
            self.restart_timer()
            self.transport.resume_reading()

    def _on_timeout(self) -> None:
        unsent = 0 if self.transport is None else _unsent(self.transport)
        if unsent != self._unsent:  # the upstream takes the request, however slowly
            self._unsent = unsent
            self.restart_timer()
            return
        try:
            self.fail(GatewayTimeout())
        finally:
            self._abort_connection()

    def _abort_connection(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the upstream's system has not acknowledged yet."""
    return transport.get_write_buffer_size() + unacknowledged(transport.get_extra_info("socket").fileno())


class Upstream(Protocol):
    """Answers requests: another service (`pool.ConnectionPool`) or the gateway's `static.StaticPages`.

    Attributes:
        name: label in logs and metrics.
        host_header: value of the `Host` header.
        gateway_secret: by which the service recognises the gateway; empty for none.
    """

    name: str
    host_header: str
    gateway_secret: str

    def send(self, request: UpstreamRequest) -> None:
        """Send a request; its receiver gets the response."""

    def deadline_line(self, seconds: float) -> str:
        """Return the header line that tells the service how long a request is waited for, or nothing."""
