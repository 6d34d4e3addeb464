"""The gateway, put together: settings, upstreams, routes, ports."""

from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from tornado.web import Application

from services.gateway.auth.authenticator import Access
from services.gateway.client_address import ClientAddresses
from services.gateway.cors import CorsPolicy
from services.gateway.routes import Route, RouteTable, auth_routes, callback_routes, page_routes
from services.gateway.server import Edge
from services.gateway.settings import GatewaySettings
from services.gateway.static import PublicPages
from services.gateway.upstream.pool import Upstream
from shared.health import Check, Health
from shared.http import ops
from shared.http.server import DrainableServer
from shared.lifecycle import Service
from shared.observability import tracing
from shared.observability.access_log import AccessLog
from shared.observability.metrics import AccessMetrics, HttpMetrics, UpstreamMetrics, new_registry

_MAX_HEADER_BYTES = 16 * 1024
_MAX_DROPPED_BYTES = 1024 * 1024


async def build(settings: GatewaySettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open both ports, and return what the lifecycle drives.

    Raises:
        CannotListen: a port is taken.
    """
    registry = new_registry()
    upstream_metrics = UpstreamMetrics(registry)
    upstreams = _Upstreams(upstream_metrics, stack)
    access = _access(settings, upstreams, AccessMetrics(registry), stack)
    routes = _routes(settings, upstreams)

    access_log = AccessLog("gateway", settings.log_format, settings.log_level)
    stack.callback(access_log.flush)
    edge = Edge(
        routes,
        access,
        CorsPolicy(settings.cors_origins),
        ClientAddresses(settings.trusted_proxies),
        access_log,
        max_body=settings.max_body_bytes,
        http_metrics=HttpMetrics(registry),
        upstream_metrics=upstream_metrics,
        tracer=tracing.open_tracer(settings, "gateway", stack),
    )
    stack.callback(edge.close)
    health = Health(
        # Until tokens can be checked for the first time, those that are running already do it.
        required={"token_checks": access.check},
        # Reported only: a gateway out of service could not even tell clients what is wrong.
        observed={"ended_sessions": access.ended.check, **upstreams.checks},
    )
    operators = DrainableServer(Application(list(ops.routes(health, registry))), settings.gateway_ops_port)
    stack.push_async_callback(operators.close)
    public = DrainableServer(
        edge,
        settings.gateway_port,
        max_header_size=_MAX_HEADER_BYTES,
        # Above the routes' own limits, so that these can be answered in words.
        max_body_size=routes.max_body + _MAX_DROPPED_BYTES,
    )
    public.disable_timers()
    stack.push_async_callback(public.close)
    return Service(health, public.begin_drain, public.stop_listening, edge.in_flight)


class _Upstreams:
    """The services behind the gateway, each once, closed with the stack."""

    def __init__(self, metrics: UpstreamMetrics, stack: AsyncExitStack) -> None:
        self._metrics = metrics
        self._stack = stack
        self._by_name: dict[str, Upstream] = {}

    def get(self, name: str, url: str) -> Upstream:
        """Return the service with a name."""
        if name not in self._by_name:
            self._by_name[name] = self.open(name, url)
        return self._by_name[name]

    def open(self, name: str, url: str) -> Upstream:
        """Return connections of their own to a service."""
        upstream = Upstream(name, url, self._metrics)
        self._stack.push_async_callback(upstream.close)
        return upstream

    @property
    def checks(self) -> dict[str, Check]:
        """The services' health checks by name."""
        return {name: upstream.check for name, upstream in self._by_name.items()}


def _access(
    settings: GatewaySettings, upstreams: _Upstreams, metrics: AccessMetrics, stack: AsyncExitStack
) -> Access:
    access = Access(
        # Not those for requests: many of these do not keep the list of ended sessions waiting.
        upstreams.open("auth", settings.auth_url),
        max_age=settings.ended_sessions_max_age,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        metrics=metrics,
    )
    stack.push_async_callback(access.close)
    return access


def _routes(settings: GatewaySettings, upstreams: _Upstreams) -> RouteTable:
    timeout, max_body = settings.upstream_timeout, settings.max_body_bytes
    platform = [
        Route(
            route.prefix,
            upstreams.get(urlsplit(route.url).netloc, route.url),
            route.timeout or timeout,
            max_body if route.max_body is None else route.max_body,
            route.token,
        )
        for route in settings.gateway_routes
    ]
    return RouteTable(
        [
            *auth_routes(upstreams.get("auth", settings.auth_url), timeout, max_body),
            *callback_routes(upstreams.get("sms", settings.sms_url), timeout),
            *page_routes(PublicPages(), timeout, max_body),
            *platform,
        ]
    )
