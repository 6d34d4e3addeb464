"""The gateway, put together: upstreams, routes, authentication, the public and the operators' port."""

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry

from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.jwks import Jwks
from services.gateway.auth.remote_verifier import RemoteVerifier
from services.gateway.auth.revocations import Revocations
from services.gateway.client_address import ClientAddresses, ClientPseudonyms
from services.gateway.context import GatewayContext
from services.gateway.cors import CorsPolicy
from services.gateway.operations import Operations
from services.gateway.routes import Route, RouteTable, auth_routes, callback_routes, page_routes
from services.gateway.server import GatewayServer
from services.gateway.settings import GatewaySettings
from services.gateway.static import OPENAPI, StaticPages
from services.gateway.upstream.client import UpstreamClient
from services.gateway.upstream.pool import MAX_CONNECTIONS, ConnectionPool
from shared.health import Health
from shared.http import ops
from shared.http.deadline import DeadlineSender
from shared.http.limits import ConnectionLimits, within_descriptors
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.networks import parse_networks
from shared.observability import tracing
from shared.observability.access_log import AccessLog
from shared.observability.metrics import (
    ConnectionMetrics,
    HealthMetrics,
    HttpMetrics,
    TokenMetrics,
    UpstreamMetrics,
    new_registry,
)
from shared.tasks import start

_MAX_HEADER_BYTES = 16 * 1024
# Bodies up to this much over a route's limit are received and dropped, so that the client can read a 413.
_MAX_DROPPED_BYTES = 1024 * 1024
_IDLE_SECONDS = 75.0
# Descriptors for log, operators' port, event loop and resolver.
_OTHER_DESCRIPTORS = 64

log = structlog.get_logger()


async def build(settings: GatewaySettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open both ports, and return what the lifecycle drives.

    Raises:
        CannotListen: a port is taken.
    """
    registry = new_registry()
    http_metrics, upstream_metrics = HttpMetrics(registry), UpstreamMetrics(registry)
    token_metrics = TokenMetrics(registry)
    pools = _open_pools(settings, upstream_metrics, stack)
    # A pool of its own: its requests must not queue behind forwarded ones.
    auth_client = UpstreamClient(_open_pool("auth", settings.auth_url, upstream_metrics, stack))
    revocations = Revocations(auth_client, settings.ended_sessions_max_age, token_metrics)
    authenticator = _authenticator(settings, auth_client, revocations, token_metrics, stack)
    access_log = AccessLog("gateway", settings.log_format, settings.log_level)
    stack.callback(access_log.flush)
    context = GatewayContext(
        routes=_route_table(settings, pools),
        authenticator=authenticator,
        cors=CorsPolicy(settings.cors_origins),
        client_addresses=ClientAddresses(settings.trusted_proxies),
        pseudonyms=ClientPseudonyms(settings.client_secret),
        access_log=access_log,
        max_body=settings.max_body_bytes,
        http_metrics=http_metrics,
        upstream_metrics=upstream_metrics,
        tracer=tracing.open_tracer(settings, "gateway", stack),
    )
    http_metrics.watch_in_flight(context.in_flight)
    limits = _connection_limits(settings, upstreams=len(pools) + 1)
    public = _public_server(settings, context, limits, ConnectionMetrics(registry), stack)
    health = Health(
        # A replica that cannot check tokens yet, or accepts no connection, leaves requests to the others.
        required={"token_checks": authenticator.check, "connections": public.check},
        # Only reported: a gateway out of service could not answer with a problem document.
        observed={"ended_sessions": revocations.check, **{name: pool.check for name, pool in pools.items()}},
        metrics=HealthMetrics(registry),
    )
    _open_operators_port(settings, health, registry, stack)
    in_flight = partial(_in_flight, context, public)
    return Service(health, public.begin_drain, public.stop_listening, in_flight)


def _in_flight(context: GatewayContext, public: DrainableServer) -> int:
    """Return the number of requests being answered, and of responses that clients have not taken yet."""
    return context.in_flight() + public.writing()


def _open_operators_port(
    settings: GatewaySettings, health: Health, registry: CollectorRegistry, stack: AsyncExitStack
) -> None:
    server = DrainableServer(
        ops.application(health, registry),
        settings.gateway_ops_port,
        settings.gateway_ops_bind_address or settings.bind_address,
    )
    stack.push_async_callback(server.close)


def _open_pools(
    settings: GatewaySettings, metrics: UpstreamMetrics, stack: AsyncExitStack
) -> dict[str, ConnectionPool]:
    """Return the connection pools of forwarded requests by the services' names."""
    urls = {urlsplit(route.url).netloc: route.url for route in settings.gateway_routes}
    urls |= {"auth": settings.auth_url, "sms": settings.sms_url}
    pools = {name: _open_pool(name, url, metrics, stack) for name, url in urls.items()}
    # Auth alone gets them: another service could speak for the gateway with the secret.
    pools["auth"].deadlines = DeadlineSender()
    pools["auth"].gateway_secret = next(iter(settings.gateway_secrets), "")
    return pools


def _open_pool(name: str, url: str, metrics: UpstreamMetrics, stack: AsyncExitStack) -> ConnectionPool:
    pool = ConnectionPool(name, url, metrics)
    stack.push_async_callback(pool.close)
    return pool


def _authenticator(
    settings: GatewaySettings,
    auth_client: UpstreamClient,
    revocations: Revocations,
    metrics: TokenMetrics,
    stack: AsyncExitStack,
) -> Authenticator:
    jwks = Jwks(auth_client, metrics)
    start("key_set", jwks.refresh_forever, stack)
    start("ended_sessions", revocations.update_forever, stack)
    return Authenticator(
        RemoteVerifier(auth_client),
        jwks,
        revocations,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        metrics=metrics,
    )


def _route_table(settings: GatewaySettings, pools: Mapping[str, ConnectionPool]) -> RouteTable:
    timeout, max_body = settings.upstream_timeout, settings.max_body_bytes
    operations = Operations.from_openapi(json.loads(OPENAPI.read_text()))
    platform = [
        Route(
            route.prefix,
            pools[urlsplit(route.url).netloc],
            route.timeout or timeout,
            max_body if route.max_body is None else route.max_body,
            route.token,
            forward_authorization=route.authorization,
        )
        for route in settings.gateway_routes
    ]
    return RouteTable(
        [
            *auth_routes(pools["auth"], timeout, max_body, operations),
            *callback_routes(pools["sms"], timeout),
            *page_routes(StaticPages(), timeout, max_body, StaticPages.operations),
            *platform,
        ]
    )


def _connection_limits(settings: GatewaySettings, upstreams: int) -> ConnectionLimits:
    """Return the limits of the public port, below the limit of the process's descriptors."""
    wanted = settings.gateway_max_connections
    possible = within_descriptors(wanted, upstreams * MAX_CONNECTIONS + _OTHER_DESCRIPTORS)
    if possible < wanted:
        log.warning("too_few_descriptors", connections=possible, wanted=wanted)
    return ConnectionLimits(
        max_open=possible,
        max_per_address=settings.gateway_max_connections_per_address,
        uncapped=parse_networks(settings.trusted_proxies),
        idle_seconds=_IDLE_SECONDS,
        body_idle_seconds=settings.gateway_read_timeout,
        write_seconds=settings.gateway_write_timeout,
    )


def _public_server(
    settings: GatewaySettings,
    context: GatewayContext,
    limits: ConnectionLimits,
    metrics: ConnectionMetrics,
    stack: AsyncExitStack,
) -> DrainableServer:
    gateway = GatewayServer(context)
    stack.callback(gateway.close)
    server = DrainableServer(
        gateway,
        settings.gateway_port,
        settings.bind_address,
        max_header_size=_MAX_HEADER_BYTES,
        max_body_size=context.routes.max_body + _MAX_DROPPED_BYTES,
        limits=limits,
        metrics=metrics,
    )
    stack.push_async_callback(server.close)
    return server
