"""Liveness, and readiness with cached checks of each dependency."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared import tasks
from shared.observability.metrics import HealthMetrics
from shared.security.tls import explain

Check = Callable[[], Awaitable[None]]
OK = "ok"
_CHECK_SECONDS = 1.0
_CACHE_SECONDS = 1.0
# Failures are checked again sooner, so that start and recovery are noticed quickly.
_FAILURE_CACHE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result of `/readyz`: whether to send traffic here, and the state of each dependency."""

    ready: bool
    checks: Mapping[str, str]


class Health:
    """Runs the checks, each within one second, at most once a second.

    Args:
        required: dependencies that the process needs; one failing check makes it unready.
        observed: dependencies that are reported but do not affect readiness, because part of the
            work does not need them.
        alive: whether the process itself works, beside its background tasks; liveness never depends on
            dependencies, because a restart would not repair them.
        metrics: shows the result of each check.
    """

    def __init__(
        self,
        required: Mapping[str, Check],
        observed: Mapping[str, Check] | None = None,
        alive: Callable[[], bool] = lambda: True,
        metrics: HealthMetrics | None = None,
    ) -> None:
        self._required = required
        self._checks = {**required, **(observed or {})}
        self._cached: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._lock = asyncio.Lock()
        self._metrics = metrics
        self._refreshing: asyncio.Task[Readiness] | None = None
        self.draining = False
        self._alive = alive

    def alive(self) -> bool:
        """Return whether the process works; if not, it has to be restarted."""
        return self._alive() and tasks.alive()

    async def readiness(self) -> Readiness:
        """Return the current state, cached for up to a second."""
        async with self._lock:
            fresh_until, states = self._cached
            if time.monotonic() > fresh_until:
                states = await self._run_all()
                healthy = all(state == OK for state in states.values())
                lifetime = _CACHE_SECONDS if healthy else _FAILURE_CACHE_SECONDS
                self._cached = (time.monotonic() + lifetime, states)
        ready = not self.draining and all(states[name] == OK for name in self._required)
        return Readiness(ready, {"draining": OK, **states} if self.draining else states)

    def refresh(self) -> None:
        """Run the checks in the background: the metrics show a recent result although nobody asks."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self.readiness())

    async def _run_all(self) -> dict[str, str]:
        results = await asyncio.gather(*(_run(check) for check in self._checks.values()))
        states = dict(zip(self._checks, results, strict=True))
        if self._metrics is not None:
            for name, state in states.items():
                self._metrics.up.labels(name).set(state == OK)
        return states


async def _run(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return "timed out"
    except Exception as error:  # noqa: BLE001 - any exception means "not ok"
        return f"failed: {explain(error) or type(error).__name__}"
    return OK
