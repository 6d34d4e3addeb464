"""A Tornado HTTP server that can be drained: requests in flight are finished, clients reconnect elsewhere."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    ParseBodyConfig,
    ParseMultipartConfig,
    set_parse_body_config,
)
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

_BACKLOG = 1024

# No service reads multipart forms. Tornado would parse one before its handler could refuse it, header by
# header: 64 KB of them take 50 ms.
set_parse_body_config(ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False)))


class CannotListen(Exception):
    """The port is in use or not permitted; the message says which port and why."""


# Tornado's pattern for the end of a request's head, and one with the same matches that starts with a
# literal: in a head with a token it is found fifteen times as fast.
END_OF_HEAD = b"\r?\n\r?\n"
FAST_END_OF_HEAD = b"\n\r?\n"


class _Server(HTTPServer):
    """Tornado's server with less work per request.

    Nagle's algorithm is off for the whole connection: Tornado switches it off and on for every response,
    with two system calls. The end of the head is found faster.
    """

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        stream.set_nodelay(True)
        stream.set_nodelay = _keep_nodelay  # type: ignore[method-assign]
        stream.read_until_regex = partial(_read_head, stream.read_until_regex)  # type: ignore[method-assign]
        super().handle_stream(stream, address)


def _read_head(
    read_until: Callable[[bytes, int | None], Awaitable[bytes]], regex: bytes, max_bytes: int | None = None
) -> Awaitable[bytes]:
    return read_until(FAST_END_OF_HEAD if regex == END_OF_HEAD else regex, max_bytes)


def _keep_nodelay(value: bool) -> None:  # noqa: FBT001 - replaces Tornado's method
    return


class DrainableServer:
    """An HTTP server on one port.

    Args:
        application: a Tornado application or a connection delegate.
        port: TCP port; 0 for any free one.
        addresses: the addresses to listen on; `localhost` stands for both of this machine's own, `*` for all.
        options: further arguments of `tornado.httpserver.HTTPServer` (size and time limits).

    Raises:
        CannotListen: the port is in use or not permitted.
    """

    def __init__(
        self,
        application: HTTPServerConnectionDelegate | Callable[[HTTPServerRequest], None],
        port: int,
        addresses: Sequence[str] = ("localhost",),
        **options: Any,  # noqa: ANN401 - passed through to Tornado
    ) -> None:
        self._server = _Server(application, **options)
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
        self._server.add_sockets(sockets)

    def disable_timers(self) -> None:
        """Disable the time limits for idle connections and slow requests; the application has its own."""
        self._server.conn_params.header_timeout = None
        self._server.conn_params.body_timeout = None

    def begin_drain(self) -> None:
        """Respond with `Connection: close` from now on, so that clients reconnect elsewhere."""
        # Open connections share this object.
        self._server.conn_params.no_keep_alive = True

    async def stop_listening(self) -> None:
        """Stop accepting connections; open ones are still served."""
        self._server.stop()

    async def close(self) -> None:
        """Close all connections."""
        self._server.stop()
        await self._server.close_all_connections()
