"""The public server: makes a `ProxyRequest` for each request and aborts those that take too long.

The connections, with their limits and the time limits of heads and responses, are `shared.http.server`'s.

The path of a request:

1. `server` makes a `proxy.ProxyRequest`; what all of them share is a `context.GatewayContext`.
2. `proxy` finds its route (`routes`), answers CORS preflights (`cors`), and checks its token (`auth`).
3. `proxy` encodes it (`headers`) and sends it to the route's upstream (`upstream.pool`).
4. `upstream.connection` writes it, parses the response, and calls the `ProxyRequest`, which writes the
   response to the client.
"""

import asyncio
from typing import cast

from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate

from services.gateway.context import GatewayContext
from services.gateway.proxy import ProxyRequest
from services.gateway.tracing import TracedProxyRequest
from shared.http.request_connection import RequestConnection

_SWEEP_INTERVAL = 1.0


class GatewayServer(HTTPServerConnectionDelegate):
    """Tornado's delegate for the public port.

    One timer checks the time limits of all bodies; Tornado would start a timer for each request.

    Args:
        context: what all requests share.
    """

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._request_class = TracedProxyRequest if context.tracer.on else ProxyRequest
        self._loop = asyncio.get_running_loop()
        self._sweep()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado: a connection is ready for a request, which may come at any time or never."""
        return self._request_class(self._context, cast("RequestConnection", request_conn))

    def close(self) -> None:
        """Stop checking time limits, and cancel the requests' tasks."""
        self._sweep_timer.cancel()
        for task in self._context.tasks:
            task.cancel()

    def _sweep(self) -> None:
        now = self._context.now()
        for request in [request for request in self._context.open_requests if request.timed_out(now)]:
            self._context.open_requests.discard(request)
            request.abort()
        self._sweep_timer = self._loop.call_later(_SWEEP_INTERVAL, self._sweep)
