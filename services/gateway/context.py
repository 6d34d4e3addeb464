"""What all requests share."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from services.gateway.auth.authenticator import Authenticator
from services.gateway.client_address import ClientAddresses, ClientPseudonyms
from services.gateway.cors import CorsPolicy
from services.gateway.routes import RouteTable
from shared.http.in_flight import InFlight
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, UpstreamMetrics
from shared.observability.tracing import Tracer
from shared.tasks import note_outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayContext:
    """The services and the state that every `proxy.ProxyRequest` uses; one per process.

    Attributes:
        routes: finds a request's upstream.
        authenticator: checks access tokens.
        cors: returns the CORS headers of responses.
        client_addresses: finds the client's address.
        pseudonyms: what stands for that address in log lines.
        access_log: writes a line per request.
        max_body: limit in bytes of the body of a request that has no route.
        http_metrics: counts requests.
        upstream_metrics: counts failures of upstreams.
        tracer: records a span per request.
        now: the event loop's clock, in seconds.
        in_flight: the number of requests being answered, for draining.
        tasks: the tasks of requests that are not done.
    """

    routes: RouteTable
    authenticator: Authenticator
    cors: CorsPolicy
    client_addresses: ClientAddresses
    pseudonyms: ClientPseudonyms
    access_log: AccessLog
    max_body: int
    http_metrics: HttpMetrics
    upstream_metrics: UpstreamMetrics
    tracer: Tracer
    now: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    in_flight: InFlight = field(default_factory=InFlight)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def create_task(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a coroutine; the event loop alone keeps only a weak reference to its task."""
        task = asyncio.create_task(coroutine, name="request")
        self.tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        note_outcome(task)
