"""The public server: makes a `ProxyRequest` for each request.

The connections, with all limits of clients and their time, are `shared.http.server`'s.

The path of a request:

1. `server` makes a `proxy.ProxyRequest`; what all of them share is a `context.GatewayContext`.
2. `proxy` finds its route (`routes`), answers CORS preflights (`cors`), and checks its token (`auth`).
3. `proxy` encodes it (`headers`) and sends it to the route's upstream (`upstream.pool`).
4. `upstream.connection` writes it, parses the response, and calls the `ProxyRequest`, which writes the
   response to the client.
"""

from typing import cast

from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate

from services.gateway.context import GatewayContext
from services.gateway.proxy import ProxyRequest
from services.gateway.tracing import TracedProxyRequest
from shared.http.request_connection import RequestConnection


class GatewayServer(HTTPServerConnectionDelegate):
    """Tornado's delegate for the public port.

    Args:
        context: what all requests share.
    """

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._request_class = TracedProxyRequest if context.tracer.on else ProxyRequest

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado: a connection is ready for a request, which may come at any time or never."""
        return self._request_class(self._context, cast("RequestConnection", request_conn))

    def close(self) -> None:
        """Cancel the requests' tasks."""
        for task in self._context.tasks:
            task.cancel()
