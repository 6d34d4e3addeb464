"""Health: liveness, readiness with each dependency by name, and their cache."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Check = Callable[[], Awaitable[None]]
OK = "ok"
_CHECK_SECONDS = 1.0
_CACHE_SECONDS = 1.0
# A failure is looked at again sooner, so that starting up and recovering are noticed quickly.
_FAILURE_CACHE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of `/readyz`: whether to send traffic here, and each dependency's state."""

    ready: bool
    checks: Mapping[str, str]


class Health:
    """Runs the named checks, each within one second, at most once a second.

    Args:
        required: dependencies without which the process cannot do its work; one failing check
            makes it unready.
        observed: dependencies that are reported by name but take no traffic away: part of the
            work goes on without them.
        alive: whether the process itself works; liveness never looks at dependencies, because a
            restart would not heal those.
    """

    def __init__(
        self,
        required: Mapping[str, Check],
        observed: Mapping[str, Check] | None = None,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._required = required
        self._checks = {**required, **(observed or {})}
        self._cached: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._lock = asyncio.Lock()
        self.draining = False
        self.alive = alive

    async def readiness(self) -> Readiness:
        """Return the current state, from the cache where that is fresh."""
        async with self._lock:
            fresh_until, states = self._cached
            if time.monotonic() > fresh_until:
                states = await self._run_all()
                healthy = all(state == OK for state in states.values())
                lifetime = _CACHE_SECONDS if healthy else _FAILURE_CACHE_SECONDS
                self._cached = (time.monotonic() + lifetime, states)
        ready = not self.draining and all(states[name] == OK for name in self._required)
        return Readiness(ready, {"draining": OK, **states} if self.draining else states)

    async def _run_all(self) -> dict[str, str]:
        results = await asyncio.gather(*(_run(check) for check in self._checks.values()))
        return dict(zip(self._checks, results, strict=True))


async def _run(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return "timed out"
    except Exception as error:  # noqa: BLE001 - whatever a check raises means "not ok"
        return f"failed: {type(error).__name__}"
    return OK
