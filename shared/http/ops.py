"""The endpoints for operators: `/healthz`, `/readyz`, `/metrics`. They are never public."""

import json
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from tornado.web import RequestHandler

from shared.health import Health
from shared.http import security_headers

Route = tuple[str, type[RequestHandler], dict[str, Any]]


def routes(health: Health, registry: CollectorRegistry) -> list[Route]:
    """Return the Tornado routes of the three endpoints."""
    return [
        (r"/healthz", _Healthz, {"health": health}),
        (r"/readyz", _Readyz, {"health": health}),
        (r"/metrics", _Metrics, {"health": health, "registry": registry}),
    ]


class _OpsHandler(RequestHandler):
    def set_default_headers(self) -> None:
        for name, value in security_headers.STRICT.items():
            self.set_header(name, value)


class _HealthHandler(_OpsHandler):
    def initialize(self, health: Health) -> None:
        self._health = health

    def answer(self, ok: bool, document: dict[str, Any]) -> None:  # noqa: FBT001
        self.set_status(200 if ok else 503)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(document))


class _Healthz(_HealthHandler):
    def get(self) -> None:
        alive = self._health.alive()
        self.answer(alive, {"status": "alive" if alive else "stuck"})


class _Readyz(_HealthHandler):
    async def get(self) -> None:
        state = await self._health.readiness()
        document = {"status": "ready" if state.ready else "unready", "checks": dict(state.checks)}
        self.answer(state.ready, document)


class _Metrics(_OpsHandler):
    def initialize(self, health: Health, registry: CollectorRegistry) -> None:
        self._health = health
        self._registry = registry

    def get(self) -> None:
        # The scrape does not wait: it shows this result, or the next one.
        self._health.refresh()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self._registry))
