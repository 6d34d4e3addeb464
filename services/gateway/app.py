"""The gateway, put together: settings, upstreams, routes, ports."""

from contextlib import AsyncExitStack

from tornado.web import Application

from services.gateway.client_address import ClientAddresses
from services.gateway.cors import CorsPolicy
from services.gateway.edge import Edge
from services.gateway.routes import RouteTable, auth_routes, callback_routes
from services.gateway.settings import GatewaySettings
from services.gateway.upstream import Upstream
from shared import ops
from shared.access_log import AccessLog
from shared.health import Health
from shared.http_server import DrainableServer
from shared.lifecycle import Service
from shared.metrics import HttpMetrics, UpstreamMetrics, new_registry

_MAX_HEADER_BYTES = 16 * 1024
_MAX_DROPPED_BYTES = 1024 * 1024


async def build(settings: GatewaySettings, stack: AsyncExitStack) -> Service:
    """Construct everything, open both ports, and return what the lifecycle drives.

    Raises:
        CannotListen: a port is taken.
    """
    registry = new_registry()
    upstream_metrics = UpstreamMetrics(registry)
    auth = Upstream("auth", settings.auth_url, upstream_metrics)
    stack.push_async_callback(auth.close)
    sms = Upstream("sms", settings.sms_url, upstream_metrics)
    stack.push_async_callback(sms.close)
    routes = RouteTable(
        [
            *auth_routes(auth, settings.upstream_timeout, settings.max_body_bytes),
            *callback_routes(sms, settings.upstream_timeout),
        ]
    )

    access_log = AccessLog("gateway", settings.log_format)
    stack.callback(access_log.flush)
    edge = Edge(
        routes,
        CorsPolicy(settings.cors_origins),
        ClientAddresses(settings.trusted_proxies),
        access_log,
        max_body=settings.max_body_bytes,
        http_metrics=HttpMetrics(registry),
        upstream_metrics=upstream_metrics,
    )
    stack.callback(edge.close)
    # Reported only: a gateway out of service could not even tell clients what is wrong.
    health = Health(required={}, observed={"auth": auth.check, "sms": sms.check})
    operators = DrainableServer(Application(list(ops.routes(health, registry))), settings.gateway_ops_port)
    stack.push_async_callback(operators.close)
    public = DrainableServer(
        edge,
        settings.gateway_port,
        max_header_size=_MAX_HEADER_BYTES,
        # Above the routes' own limits, so that these can be answered in words.
        max_body_size=_MAX_DROPPED_BYTES,
    )
    public.disable_timers()
    stack.push_async_callback(public.close)
    return Service(health, public.begin_drain, public.stop_listening, edge.in_flight)
