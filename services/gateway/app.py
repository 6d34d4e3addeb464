"""The gateway, put together: upstreams, routes, authentication, the public and the operators' port."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from tornado.web import Application

from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.jwks import Jwks
from services.gateway.auth.revocations import Revocations
from services.gateway.client_address import ClientAddresses
from services.gateway.context import GatewayContext
from services.gateway.cors import CorsPolicy
from services.gateway.routes import Route, RouteTable, auth_routes, callback_routes, page_routes
from services.gateway.server import GatewayServer
from services.gateway.settings import GatewaySettings
from services.gateway.static import StaticPages
from services.gateway.upstream.client import UpstreamClient
from services.gateway.upstream.pool import ConnectionPool
from shared.health import Check, Health
from shared.http import ops
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, TokenMetrics, UpstreamMetrics, new_registry
from shared.tasks import cancel

_MAX_HEADER_BYTES = 16 * 1024
# Bodies of this much more than a route's limit are received and dropped, so that the client reads a 413.
_MAX_DROPPED_BYTES = 1024 * 1024


async def build(settings: GatewaySettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open both ports, and return what the lifecycle drives.

    Raises:
        CannotListen: a port is taken.
    """
    registry = new_registry()
    http_metrics, upstream_metrics = HttpMetrics(registry), UpstreamMetrics(registry)
    pools = _Pools(upstream_metrics, stack)
    # Connections of its own, on which it does not wait for forwarded requests.
    auth_client = UpstreamClient(pools.open("auth", settings.auth_url))
    token_metrics = TokenMetrics(registry)
    revocations = Revocations(auth_client, settings.ended_sessions_max_age, token_metrics)
    authenticator = _authenticator(settings, auth_client, revocations, token_metrics, stack)
    routes = _routes(settings, pools)
    access_log = AccessLog("gateway", settings.log_format, settings.log_level)
    stack.callback(access_log.flush)
    context = GatewayContext(
        routes=routes,
        authenticator=authenticator,
        cors=CorsPolicy(settings.cors_origins),
        client_addresses=ClientAddresses(settings.trusted_proxies),
        access_log=access_log,
        max_body=settings.max_body_bytes,
        http_metrics=http_metrics,
        upstream_metrics=upstream_metrics,
        tracer=tracing.open_tracer(settings, "gateway", stack),
    )
    http_metrics.watch_in_flight(context.in_flight)
    health = Health(
        # Until tokens can be checked for the first time, the other replicas serve.
        required={"token_checks": authenticator.check},
        # Only reported: a gateway out of service could not answer with a problem document.
        observed={"ended_sessions": revocations.check, **pools.checks},
    )
    operators = DrainableServer(Application(list(ops.routes(health, registry))), settings.gateway_ops_port)
    stack.push_async_callback(operators.close)
    public = _public_server(settings.gateway_port, context, stack)
    return Service(health, public.begin_drain, public.stop_listening, context.in_flight)


class _Pools:
    """The connection pools of the services behind the gateway, one per service, closed with the stack."""

    def __init__(self, metrics: UpstreamMetrics, stack: AsyncExitStack) -> None:
        self._metrics = metrics
        self._stack = stack
        self._by_name: dict[str, ConnectionPool] = {}

    def get(self, name: str, url: str) -> ConnectionPool:
        """Return the service's pool."""
        if name not in self._by_name:
            self._by_name[name] = self.open(name, url)
        return self._by_name[name]

    def open(self, name: str, url: str) -> ConnectionPool:
        """Return a new pool, which `get` does not return."""
        pool = ConnectionPool(name, url, self._metrics)
        self._stack.push_async_callback(pool.close)
        return pool

    @property
    def checks(self) -> dict[str, Check]:
        """The services' health checks by name."""
        return {name: pool.check for name, pool in self._by_name.items()}


def _authenticator(
    settings: GatewaySettings,
    auth_client: UpstreamClient,
    revocations: Revocations,
    metrics: TokenMetrics,
    stack: AsyncExitStack,
) -> Authenticator:
    jwks = Jwks(auth_client, metrics)
    authenticator = Authenticator(
        auth_client,
        jwks,
        revocations,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        metrics=metrics,
    )
    for update in (jwks.refresh_forever(), revocations.update_forever()):
        stack.push_async_callback(cancel, asyncio.create_task(update))
    return authenticator


def _routes(settings: GatewaySettings, pools: _Pools) -> RouteTable:
    timeout, max_body = settings.upstream_timeout, settings.max_body_bytes
    platform = [
        Route(
            route.prefix,
            pools.get(urlsplit(route.url).netloc, route.url),
            route.timeout or timeout,
            max_body if route.max_body is None else route.max_body,
            route.token,
        )
        for route in settings.gateway_routes
    ]
    return RouteTable(
        [
            *auth_routes(pools.get("auth", settings.auth_url), timeout, max_body),
            *callback_routes(pools.get("sms", settings.sms_url), timeout),
            *page_routes(StaticPages(), timeout, max_body),
            *platform,
        ]
    )


def _public_server(port: int, context: GatewayContext, stack: AsyncExitStack) -> DrainableServer:
    delegate = GatewayServer(context)
    stack.callback(delegate.close)
    server = DrainableServer(
        delegate,
        port,
        max_header_size=_MAX_HEADER_BYTES,
        max_body_size=context.routes.max_body + _MAX_DROPPED_BYTES,
    )
    server.disable_timers()
    stack.push_async_callback(server.close)
    return server
