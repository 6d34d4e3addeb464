"""The endpoints for operators: `/healthz`, `/readyz`, `/metrics`. They are never public."""

import json
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from tornado.web import Application, RequestHandler

from shared.errors import MethodNotAllowed, NotFound
from shared.health import Health
from shared.http.methods import allow
from shared.http.problem_handler import ProblemHandler

Route = tuple[str, type[RequestHandler], dict[str, Any]]

_METHODS = ("GET",)


def routes(health: Health, registry: CollectorRegistry) -> list[Route]:
    """Return the Tornado routes of the three endpoints."""
    return [
        (r"/healthz", _Healthz, {"health": health}),
        (r"/readyz", _Readyz, {"health": health}),
        (r"/metrics", _Metrics, {"health": health, "registry": registry}),
    ]


def application(health: Health, registry: CollectorRegistry) -> Application:
    """Return a Tornado application with nothing but the three endpoints."""
    return Application(
        list(routes(health, registry)), default_handler_class=_NotFound, log_function=lambda _handler: None
    )


class _OpsHandler(ProblemHandler):
    content_type = "application/json"
    route = "operators"

    async def answer(self) -> None:
        """Answer GET."""
        raise NotFound

    async def get(self) -> None:
        await self.answer()

    head = get  # Tornado leaves the body out

    async def options(self) -> None:
        self.set_status(204)
        self.clear_header("Content-Type")
        self.set_header("Allow", allow(_METHODS))

    async def _unsupported(self) -> None:
        raise MethodNotAllowed(_METHODS)

    post = put = patch = delete = _unsupported


class _NotFound(_OpsHandler):
    def prepare(self) -> None:
        raise NotFound


class _HealthHandler(_OpsHandler):
    def initialize(self, health: Health) -> None:
        self._health = health

    def finish_with(self, ok: bool, document: dict[str, Any]) -> None:  # noqa: FBT001
        self.set_status(200 if ok else 503)
        self.finish(json.dumps(document))


class _Healthz(_HealthHandler):
    async def answer(self) -> None:
        alive = self._health.alive()
        self.finish_with(alive, {"status": "alive" if alive else "stuck"})


class _Readyz(_HealthHandler):
    async def answer(self) -> None:
        state = await self._health.readiness()
        document = {"status": "ready" if state.ready else "unready", "checks": dict(state.checks)}
        self.finish_with(state.ready, document)


class _Metrics(_OpsHandler):
    def initialize(self, health: Health, registry: CollectorRegistry) -> None:
        self._health = health
        self._registry = registry

    async def answer(self) -> None:
        # The scrape does not wait: it shows this result, or the next one.
        self._health.refresh()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self._registry))
