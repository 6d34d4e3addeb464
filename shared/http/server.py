"""An HTTP server that can be drained: requests in flight are finished, clients reconnect elsewhere.

Tornado reads the requests and writes the responses (`request_connection`); connections are accepted and
limited here, since Tornado's own server accepts without limit and waits for slow clients for ever.
"""

import asyncio
import socket
from collections.abc import Sequence

import structlog
from tornado.http1connection import HTTP1ConnectionParameters
from tornado.httputil import (
    HTTPServerConnectionDelegate,
    ParseBodyConfig,
    ParseMultipartConfig,
    set_parse_body_config,
)
from tornado.netutil import bind_sockets

from shared.errors import RequestTimeout
from shared.http.client_stream import ClientStream
from shared.http.limits import ConnectionLimits
from shared.http.listener import Listener
from shared.http.refusals import encode_refusal
from shared.http.request_connection import ClientConnection
from shared.observability.metrics import ConnectionMetrics
from shared.tasks import note_outcome

log = structlog.get_logger()

_BACKLOG = 1024
_SWEEP_INTERVAL = 1.0

# No service reads multipart forms. Tornado would parse one before its handler could refuse it, header by
# header: 64 KB of them take 50 ms.
set_parse_body_config(ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False)))


class CannotListen(Exception):
    """The port is in use or not permitted; the message says which port and why."""


class DrainableServer:
    """An HTTP server on one port.

    Args:
        application: a Tornado application or another connection delegate.
        port: TCP port; 0 for any free one.
        addresses: the addresses to listen on; `localhost` stands for both of this machine's own, `*` for all.
        max_header_size: limit of a request's head in bytes, at most 64 KiB.
        max_body_size: limit of a request's body in bytes.
        limits: of the connections, and of the time that their clients get.
        metrics: counts connections, unless None.

    Raises:
        CannotListen: the port is in use or not permitted.
    """

    def __init__(
        self,
        application: HTTPServerConnectionDelegate,
        port: int,
        addresses: Sequence[str] = ("localhost",),
        *,
        max_header_size: int | None = None,
        max_body_size: int | None = None,
        limits: ConnectionLimits | None = None,
        metrics: ConnectionMetrics | None = None,
    ) -> None:
        self._application = application
        self._params = HTTP1ConnectionParameters(max_header_size=max_header_size, max_body_size=max_body_size)
        self._limits = limits or ConnectionLimits()
        self._metrics = metrics
        self._connections: dict[ClientConnection, asyncio.Task[None]] = {}
        # With port 0, IPv4 only: two address families would get two different ports.
        family = socket.AF_INET if port == 0 else socket.AF_UNSPEC
        try:
            sockets = [
                bound
                for address in addresses
                for bound in bind_sockets(port, None if address == "*" else address, family, _BACKLOG)
            ]
        except OSError as error:
            raise CannotListen(f"cannot listen on port {port}: {error.strerror}") from error
        self.port: int = sockets[0].getsockname()[1]
        self._listener = Listener(sockets, self._limits, self._serve, metrics)
        self.check = self._listener.check
        self._loop = asyncio.get_running_loop()
        self._sweep_timer = self._loop.call_later(_SWEEP_INTERVAL, self._sweep)

    def begin_drain(self) -> None:
        """Respond with `Connection: close` from now on, so that clients reconnect elsewhere."""
        # Open connections share this object.
        self._params.no_keep_alive = True

    async def stop_listening(self) -> None:
        """Stop accepting connections; open ones are still served."""
        self._listener.stop()

    async def close(self) -> None:
        """Close all connections."""
        self._listener.stop()
        self._sweep_timer.cancel()
        tasks = list(self._connections.values())
        for connection in list(self._connections):
            connection.stream.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def writing(self) -> int:
        """Return the number of connections whose clients have not taken the whole response yet."""
        return sum(connection.stream.writing() for connection in self._connections)

    def _serve(self, stream: ClientStream) -> None:
        connection = ClientConnection(stream, self._params, self._application, self._metrics)
        task = asyncio.create_task(connection.serve(), name="connection")
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection))
        task.add_done_callback(note_outcome)

    def _sweep(self) -> None:
        """End the connections whose clients let the server wait for too long."""
        self._sweep_timer = self._loop.call_later(_SWEEP_INTERVAL, self._sweep)
        now = self._loop.time()
        idle_seconds = self._limits.idle_seconds
        if self._listener.crowded:
            idle_seconds = min(idle_seconds, self._limits.crowded_idle_seconds)
        for connection in [connection for connection in self._connections if not connection.stream.closed()]:
            try:
                reason = self._end_if_late(connection, now, idle_seconds)
            except Exception:  # the others must not wait for ever because of one
                log.exception("connection_failed")
                connection.stream.close()
            else:
                if reason and self._metrics is not None:
                    self._metrics.timeouts.labels(reason).inc()

    def _end_if_late(self, connection: ClientConnection, now: float, idle_seconds: float) -> str:
        """End a connection if its client lets the server wait, and return for what; else an empty string."""
        stream, limits = connection.stream, self._limits
        if stream.stalled_for(now) > limits.write_seconds:
            stream.close()
            return "write"
        if connection.time_out_body(now, limits):
            return "body"
        if stream.head_for(now) > limits.head_seconds:
            if stream.buffered:
                stream.write(encode_refusal(RequestTimeout()))
            stream.close()
            return "head"
        if stream.idle_for(now) > idle_seconds:
            stream.close()
            return "idle"
        return ""
