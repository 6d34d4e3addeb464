"""Accepts the connections of clients, within limits."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence

from shared.http.client_stream import ClientStream
from shared.http.limits import AddressCounter, ConnectionLimits
from shared.observability.metrics import ConnectionMetrics
from shared.observability.rate_limited_log import RateLimitedLog

_BATCH = 64  # accepted at a time, so that open connections are served, too
_RETRY_SECONDS = 0.5
_FAILING_SECONDS = 5.0
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NOTHING_TO_ACCEPT = (BlockingIOError, InterruptedError, ConnectionAbortedError)


class TooManyConnections(Exception):
    """The process accepts no connection at the moment."""


class Listener:
    """Accepts connections on listening sockets until there are too many of them.

    At the limit, and while the system has no descriptor left, the sockets are not watched: clients wait
    in the kernel's queue, and the event loop is not woken for nothing.

    Args:
        sockets: listening sockets.
        limits: the limits.
        on_accept: called with each new connection.
        metrics: counts connections, unless None.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: ConnectionLimits,
        on_accept: Callable[[ClientStream], None],
        metrics: ConnectionMetrics | None = None,
    ) -> None:
        self._sockets = sockets
        self._limits = limits
        self._on_accept = on_accept
        self._metrics = metrics
        self._addresses = AddressCounter(limits)
        self._loop = asyncio.get_running_loop()
        self._listening = False
        self._stopped = False
        self._retry: asyncio.TimerHandle | None = None
        self._failed_at = float("-inf")
        self._paused_log = RateLimitedLog("accepting_paused")
        self._refused_log = RateLimitedLog("connections_refused")
        self.open = 0
        if metrics is not None:
            metrics.watch(lambda: self.open, limits.max_open)
        self._resume()

    @property
    def crowded(self) -> bool:
        """Whether nine tenths of the connections are in use."""
        return self.open * 10 >= self._limits.max_open * 9

    async def check(self) -> None:
        """Health check: raises `TooManyConnections` while no connection is accepted."""
        failing = self._loop.time() - self._failed_at < _FAILING_SECONDS
        if failing or self.open >= self._limits.max_open:
            raise TooManyConnections

    def stop(self) -> None:
        """Stop accepting, and close the listening sockets."""
        if self._stopped:
            return
        self._stopped = True
        self._pause()
        if self._retry is not None:
            self._retry.cancel()
        for listening in self._sockets:
            listening.close()

    def _resume(self) -> None:
        if not self._listening and not self._stopped:
            self._listening = True
            for listening in self._sockets:
                self._loop.add_reader(listening, self._accept_all, listening)

    def _pause(self) -> None:
        if self._listening:
            self._listening = False
            for listening in self._sockets:
                self._loop.remove_reader(listening)

    def _accept_all(self, listening: socket.socket) -> None:
        for _ in range(_BATCH if self._listening else 0):
            if self.open >= self._limits.max_open:
                self._report_pause("limit")
                self._pause()
                return
            try:
                connection, address = listening.accept()
            except _NOTHING_TO_ACCEPT:
                return
            except OSError as error:
                self._pause_after(error)
                return
            self._accept(connection, str(address[0]))

    def _accept(self, connection: socket.socket, address: str) -> None:
        if not self._addresses.add(address):
            connection.close()
            if self._metrics is not None:
                self._metrics.refused.inc()
            self._refused_log.warning(limit=self._limits.max_per_address)
            return
        self.open += 1
        self._on_accept(ClientStream(connection, address, self._on_closed))

    def _on_closed(self, stream: ClientStream) -> None:
        self.open -= 1
        self._addresses.remove(stream.address)
        if self._retry is None:
            self._resume()

    def _pause_after(self, error: OSError) -> None:
        """Wait before the next attempt: the error comes again until descriptors are closed."""
        self._failed_at = self._loop.time()
        self._report_pause("descriptors" if error.errno in _OUT_OF_DESCRIPTORS else "error")
        self._pause()
        self._retry = self._loop.call_later(_RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._resume()

    def _report_pause(self, reason: str) -> None:
        if self._metrics is not None:
            self._metrics.pauses.labels(reason).inc()
        self._paused_log.warning(reason=reason, open=self.open, limit=self._limits.max_open)
