"""The keep-alive connections to one upstream: the gateway's hot path.

Plain asyncio protocols with a C parser (httptools) and callbacks: no task, future or stream object
per request. `benchmarks/` compares it with other HTTP clients.
"""

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

from services.gateway.upstream.connection import UpstreamConnection
from services.gateway.upstream.request import UpstreamRequest
from shared.errors import BadGateway, GatewayTimeout, Unavailable
from shared.http.deadline import DeadlineSender
from shared.observability.failure_log import START_SECONDS
from shared.observability.metrics import UpstreamMetrics, expose
from shared.observability.rate_limited_log import RateLimitedLog
from shared.tasks import note_outcome

_CONNECT_TIMEOUT = 2.0
MAX_CONNECTIONS = 256
_MAX_QUEUED = 1024
# Shorter than an upstream's drain delay: when a draining upstream closes its idle connections, the
# gateway has closed them already, so that no request is written to a closing one.
_KEEPALIVE_EXPIRY = 4.0
_SWEEP_INTERVAL = 1.0
_RETRY_AFTER_SECONDS = 1


class ConnectionPool:
    """A pool of connections to one service. It is an `Upstream`.

    Args:
        name: the service's name in logs and metrics.
        url: `http://host:port` or `https://…`, without a path.
        metrics: counts connections.

    Attributes:
        gateway_secret: sent with each forwarded request, so that the service recognises the gateway;
            empty for none.
        deadlines: tells the service how long a request is waited for; None if it is not told.
    """

    gateway_secret = ""
    deadlines: DeadlineSender | None = None

    def __init__(self, name: str, url: str, metrics: UpstreamMetrics) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self.name = name
        self.host_header = parts.netloc
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._ssl = ssl.create_default_context() if secure else None
        self._connections_opened = metrics.connections.labels(name)
        expose(metrics.failures, (name,), (error.slug for error in (BadGateway, GatewayTimeout, Unavailable)))
        self._connections: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        # With the time since which each is idle.
        self._idle: deque[tuple[UpstreamConnection, float]] = deque()
        self._queue: deque[UpstreamRequest] = deque()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._unreachable_log = RateLimitedLog("upstream_unreachable", START_SECONDS)

    def send(self, request: UpstreamRequest) -> None:
        """Send a request on an idle connection, on a new one, or on the next that becomes idle."""
        connection = self._pop_idle()
        if connection is not None:
            connection.start(request)
        elif len(self._connections) + len(self._connecting) < MAX_CONNECTIONS:
            self._connect_for(request)
        elif len(self._queue) < _MAX_QUEUED:
            self._queue.append(request)
        else:
            request.fail(Unavailable(retry_after=_RETRY_AFTER_SECONDS))

    def deadline_line(self, seconds: float) -> str:
        """Return the header line with the time until which a request is waited for, if there is one."""
        return self.deadlines.line(seconds) if self.deadlines else ""

    async def check(self) -> None:
        """Health check: raises OSError if the service accepts no connection."""
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for task in self._connecting:
            task.cancel()
        for connection in list(self._connections):
            connection.transport.abort()

    def _pop_idle(self) -> UpstreamConnection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.usable:
                return connection
            connection.transport.abort()
        return None

    def _connect_for(self, request: UpstreamRequest) -> None:
        task = asyncio.create_task(self._connect(request), name="upstream")
        self._connecting.add(task)
        task.add_done_callback(self._end_connecting)

    def _end_connecting(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        note_outcome(task)

    async def _connect(self, request: UpstreamRequest) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self._on_idle, self._on_closed),
                    self._host,
                    self._port,
                    ssl=self._ssl,
                )
        except Exception as error:  # noqa: BLE001 - OSError mostly; whatever it is, the request is answered
            self._unreachable_log.warning(upstream=self.name, error=type(error).__name__)
            request.fail(Unavailable(retry_after=_RETRY_AFTER_SECONDS))
            self._connect_for_queued()
            return
        self._connections.add(connection)
        self._connections_opened.inc()
        self._unreachable_log.expect_none()
        if self._sweep_timer is None:
            self._close_expired()
        if request.done:  # timed out or cancelled while connecting
            self._on_idle(connection)
        elif connection.transport.is_closing():  # the upstream has sent something without being asked
            request.fail(BadGateway())
        else:
            connection.start(request)

    def _on_idle(self, connection: UpstreamConnection) -> None:
        while self._queue:
            if not connection.usable:
                connection.transport.abort()  # then a new one is opened for the queue
                return
            request = self._queue.popleft()
            if not request.done:
                connection.start(request)
                return
        self._idle.append((connection, asyncio.get_running_loop().time()))

    def _on_closed(self, connection: UpstreamConnection, retry: UpstreamRequest | None) -> None:
        self._connections.discard(connection)
        self._idle = deque(entry for entry in self._idle if entry[0] is not connection)
        if retry is not None:
            self._connect_for(retry)
        else:
            self._connect_for_queued()

    def _connect_for_queued(self) -> None:
        while self._queue:
            request = self._queue.popleft()
            if not request.done:
                self._connect_for(request)
                return

    def _close_expired(self) -> None:
        """Close the connections that have been idle for too long; the longest idle is leftmost."""
        loop = asyncio.get_running_loop()
        self._sweep_timer = loop.call_later(_SWEEP_INTERVAL, self._close_expired)
        expired = loop.time() - _KEEPALIVE_EXPIRY
        while self._idle and self._idle[0][1] < expired:
            connection, _ = self._idle.popleft()
            connection.transport.close()
