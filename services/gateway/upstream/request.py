"""A forwarded request: its time limit, and who takes its answer."""

import asyncio
from typing import Protocol

from shared.errors import AppError, GatewayTimeout

Headers = list[tuple[str, str]]

# Safe to repeat on another connection where the first one turned out to be dead (RFC 9110 §9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class Connection(Protocol):
    """What a call needs of the connection that it is on."""

    transport: asyncio.Transport


class Receiver(Protocol):
    """Takes an upstream's answer: whole by `answered`, or in parts, or `failed`."""

    def answered(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """Take a whole response."""

    def began(self, status: int, reason: str, headers: Headers, chunk: bytes) -> None:
        """Take the head and the first part of a response."""

    def continued(self, chunk: bytes) -> None:
        """Take a further part."""

    def ended(self) -> None:
        """Note that a response in parts is complete."""

    def failed(self, error: AppError) -> None:
        """Note that there will be no (complete) response."""


class UpstreamCall:
    """One forwarded request.

    Args:
        method: the HTTP method.
        request: the whole request as it goes on the wire.
        receiver: takes the answer.
        timeout: seconds until the answer must begin, and between parts of a long one.
    """

    __slots__ = ("_timeout", "_timer", "connection", "done", "method", "receiver", "request", "retried")

    def __init__(self, method: str, request: bytes, receiver: Receiver, timeout: float) -> None:
        self.method = method
        self.request = request
        self.receiver = receiver
        self.connection: Connection | None = None
        self.done = False
        self.retried = False
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self.restart_timer()

    @property
    def may_retry(self) -> bool:
        """Whether the request may be sent once more without being done twice."""
        return self.method in _IDEMPOTENT and not self.retried

    def restart_timer(self) -> None:
        """Give the next part of the answer the full time again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._on_timeout)

    def finish(self) -> None:
        """Note that the receiver has been told the end."""
        self.done = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # it refers back to the call

    def fail(self, error: AppError) -> None:
        """Tell the receiver that nothing (more) will come."""
        if not self.done:
            self.finish()
            self.receiver.failed(error)

    def cancel(self) -> None:
        """Give up: the client has gone."""
        self.finish()
        self._drop_connection()

    def pause(self) -> None:
        """Read no more of the answer until `resume`."""
        if self.connection is not None:
            self.connection.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.connection is not None:
            self.connection.transport.resume_reading()

    def _on_timeout(self) -> None:
        self.fail(GatewayTimeout())
        self._drop_connection()

    def _drop_connection(self) -> None:
        if self.connection is not None:
            self.connection.transport.abort()
