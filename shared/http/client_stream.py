"""A client's connection as a Tornado stream that knows how long its client has let it wait."""

import asyncio
import fcntl
import math
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tornado.iostream import IOStream

# Tornado's pattern for the end of a request's head, and one with the same matches that starts with a
# literal: in a head with a token it is found fifteen times as fast.
END_OF_HEAD = b"\r?\n\r?\n"
FAST_END_OF_HEAD = b"\n\r?\n"

# How much of a head is read: more than any limit, so that a client can be told.
_MAX_HEAD = 64 * 1024
# Most requests fit; Tornado clears a buffer of this size for each read.
_READ_CHUNK = 16 * 1024
# Unsent bytes that the kernel takes: what is waiting stays here, where large files share one buffer.
_UNSENT_IN_KERNEL = 128 * 1024


class ClientStream(IOStream):
    """Tornado's stream with less work per request, and what is needed to end connections that stall.

    Nagle's algorithm is off for the whole connection: Tornado switches it off and on for every response,
    with two system calls. The end of the head is found faster.

    Args:
        connection: the accepted socket.
        address: the client's address.
        on_closed: called once when the socket is closed.

    Attributes:
        address: the client's address.
        awaiting_since: since when the head of a request is awaited, in the event loop's time; infinity
            while a request is being received or answered.
        fresh: whether the connection has not had a whole head yet.
    """

    def __init__(
        self, connection: socket.socket, address: str, on_closed: Callable[["ClientStream"], None]
    ) -> None:
        super().__init__(connection, read_chunk_size=_READ_CHUNK)
        with suppress(OSError):  # the client has gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_IN_KERNEL)
        self.address = address
        self.awaiting_since = math.inf
        self.fresh = True
        self._on_closed = on_closed
        self._now = asyncio.get_running_loop().time
        # Of the head that has begun to arrive: `awaiting_since`, and when that was first seen.
        self._partial_head = (math.inf, 0.0)
        # Bytes that the client has taken, and when that last changed.
        self._taken = (-1, 0.0)

    @property
    def buffered(self) -> int:
        """The number of bytes that have been received but not read."""
        return self._read_buffer_size

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Tornado: read the head of a request, beyond `max_bytes`; whoever parses it checks the size."""
        self.awaiting_since = self._now()
        return super().read_until_regex(FAST_END_OF_HEAD if regex == END_OF_HEAD else regex, _MAX_HEAD)

    def set_nodelay(self, value: bool) -> None:  # noqa: FBT001 - Tornado's
        """Keep Nagle's algorithm off."""

    def close_fd(self) -> None:
        """Tornado: close the socket."""
        super().close_fd()
        self._on_closed(self)

    def idle_for(self, now: float) -> float:
        """Return for how many seconds no part of a request has come."""
        return now - self.awaiting_since

    def head_for(self, now: float) -> float:
        """Return for how many seconds a head has been arriving; the first one since the connection began.

        To be called regularly: it notices the beginning of a head only when called.
        """
        if self.awaiting_since == math.inf:
            return 0.0
        if self.fresh:
            return now - self.awaiting_since
        if not self._read_buffer_size:
            return 0.0
        if self._partial_head[0] != self.awaiting_since:
            self._partial_head = (self.awaiting_since, now)
        return now - self._partial_head[1]

    def stalled_for(self, now: float) -> float:
        """Return for how many seconds the client has taken nothing of what is to be written.

        To be called regularly, as `head_for`.
        """
        if not self._write_buffer:
            self._taken = (-1, now)
            return 0.0
        taken = self._total_write_done_index - unacknowledged(self.socket.fileno())
        if taken != self._taken[0]:
            self._taken = (taken, now)
        return now - self._taken[1]


def unacknowledged(descriptor: int) -> int:
    """Return how many bytes the kernel holds until the peer acknowledges them; 0 where it does not say.

    Args:
        descriptor: of a TCP connection; -1 of a closed one.
    """
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4)
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", answer)[0])
