"""What all requests share, and the way from Tornado's server to an exchange."""

import asyncio
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate

from services.gateway.auth.authenticator import Access
from services.gateway.client_address import ClientAddresses
from services.gateway.cors import CorsPolicy
from services.gateway.proxy import Exchange
from services.gateway.routes import RouteTable
from services.gateway.tracing import TracedExchange
from shared.http.in_flight import InFlight
from shared.observability.access_log import AccessLog
from shared.observability.metrics import METHODS, HttpMetrics, UpstreamMetrics
from shared.observability.tracing import OFF, Tracer

_SWEEP_SECONDS = 1.0


class Edge(HTTPServerConnectionDelegate):
    """The gateway's public side.

    Args:
        routes: where requests go.
        access: checks tokens.
        cors: what browsers are told.
        addresses: finds the client's address.
        access_log: takes a line per request.
        max_body: bytes that a body may have where no route says otherwise.
        http_metrics: counts requests.
        upstream_metrics: counts failures of upstreams.
        tracer: makes each request a span.
    """

    methods = ", ".join(METHODS)

    def __init__(
        self,
        routes: RouteTable,
        access: Access,
        cors: CorsPolicy,
        addresses: ClientAddresses,
        access_log: AccessLog,
        *,
        max_body: int,
        http_metrics: HttpMetrics,
        upstream_metrics: UpstreamMetrics,
        tracer: Tracer = OFF,
    ) -> None:
        self.routes = routes
        self.access = access
        self.cors = cors
        self.addresses = addresses
        self.access_log = access_log
        self.max_body = max_body
        self.http_metrics = http_metrics
        self.upstream_metrics = upstream_metrics
        self.tracer = tracer
        self.in_flight = InFlight()
        http_metrics.watch_in_flight(self.in_flight)
        self._exchange = TracedExchange if tracer.on else Exchange
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[Exchange] = set()
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._sweep()

    def close(self) -> None:
        """Stop looking after the clients' time limits."""
        self._sweep_timer.cancel()

    def watch(self, exchange: Exchange) -> None:
        """Look after an exchange's time limit."""
        self._watched.add(exchange)

    def forget(self, exchange: Exchange) -> None:
        """Look after it no longer."""
        self._watched.discard(exchange)

    def _sweep(self) -> None:
        now = self.now()
        for exchange in [one for one in self._watched if one.overdue(now)]:
            self._watched.discard(exchange)
            exchange.abandon()
        self._sweep_timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado: a request begins."""
        return self._exchange(self, cast("HTTP1Connection", request_conn))

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it is done; the event loop alone does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def peer(connection: HTTP1Connection) -> str:
        """Return the address at the other end of a client's connection."""
        return str(getattr(connection.context, "remote_ip", ""))
