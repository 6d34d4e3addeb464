"""The keep-alive connections to one upstream: the gateway's hot path.

Plain asyncio protocols with a C parser (httptools) and callbacks: no task, future or stream object
per request. `benchmarks/` compares it with the clients that it was chosen over.
"""

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

import structlog

from services.gateway.upstream.connection import UpstreamConnection
from services.gateway.upstream.request import UpstreamCall
from shared.errors import Unavailable
from shared.observability.metrics import UpstreamMetrics

_CONNECT_SECONDS = 2.0
_MAX_CONNECTIONS = 256
_MAX_WAITING = 1024
# Shorter than an upstream's drain delay: when a draining upstream closes its idle connections, the
# gateway has let go of them already, so that no request meets a closing one.
_IDLE_SECONDS = 4.0
_SWEEP_SECONDS = 1.0
_RETRY_AFTER_SECONDS = 1

log = structlog.get_logger()


class Upstream:
    """A pool of connections to one service.

    Args:
        name: the service's name in logs and metrics.
        url: `http://host:port` or `https://…`, without a path.
        metrics: counts connections.
    """

    def __init__(self, name: str, url: str, metrics: UpstreamMetrics) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self.name = name
        self.host_header = parts.netloc
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._ssl = ssl.create_default_context() if secure else None
        self._connections_opened = metrics.connections.labels(name)
        self._idle: deque[tuple[UpstreamConnection, float]] = deque()
        self._waiting: deque[UpstreamCall] = deque()
        self._open: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def send(self, call: UpstreamCall) -> None:
        """Send a request on a free connection, a new one, or the next that becomes free."""
        connection = self._take_idle()
        if connection is not None:
            connection.start(call)
        elif len(self._open) + len(self._connecting) < _MAX_CONNECTIONS:
            self._connect_for(call)
        elif len(self._waiting) < _MAX_WAITING:
            self._waiting.append(call)
        else:
            call.fail(Unavailable(retry_after=_RETRY_AFTER_SECONDS))

    async def check(self) -> None:
        """Health check: raises OSError where no connection can be made."""
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.transport.abort()

    def _take_idle(self) -> UpstreamConnection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def _connect_for(self, call: UpstreamCall) -> None:
        task = asyncio.create_task(self._connect(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: UpstreamCall) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self._on_free, self._on_lost),
                    self._host,
                    self._port,
                    ssl=self._ssl,
                )
        except OSError as error:  # TimeoutError among them
            log.warning("upstream_unreachable", upstream=self.name, error=type(error).__name__)
            call.fail(Unavailable(retry_after=_RETRY_AFTER_SECONDS))
            self._serve_waiting()
            return
        self._open.add(connection)
        self._connections_opened.inc()
        if self._sweep_timer is None:
            self._sweep()
        if call.done:  # given up meanwhile
            self._on_free(connection)
        else:
            connection.start(call)

    def _on_free(self, connection: UpstreamConnection) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            if not call.done:
                connection.start(call)
                return
        self._idle.append((connection, asyncio.get_running_loop().time()))

    def _on_lost(self, connection: UpstreamConnection, retry: UpstreamCall | None) -> None:
        self._open.discard(connection)
        self._idle = deque(entry for entry in self._idle if entry[0] is not connection)
        if retry is not None:
            self._connect_for(retry)
        else:
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            if not call.done:
                self._connect_for(call)
                return

    def _sweep(self) -> None:
        """Close connections that have been idle for too long; the longest idle one is leftmost."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - _IDLE_SECONDS
        while self._idle and self._idle[0][1] < oldest:
            connection, _ = self._idle.popleft()
            connection.transport.close()
        self._sweep_timer = loop.call_later(_SWEEP_SECONDS, self._sweep)
