"""Pulling status reports, where they are not pushed: one worker at a time.

Yunpian forgets what it has handed out. What is lost, therefore: the one page (20 reports at most) that a
worker has been handed and has not stored when it is killed, or whose answer is cut off on the way. Its
messages stay `sent`. To keep that small, Redis is asked for the lock right before each pull, a page is
stored before the next one is pulled, and a page that Redis does not take is held and offered until it
does, by a worker that shuts down too, for as long as its deadline allows.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from services.sms.delivery.patience import until_redis_answers
from services.sms.provider.yunpian.client import CannotAsk
from services.sms.provider.yunpian.reports import read_items
from services.sms.reports.service import Batch
from shared.clock import now
from shared.http.in_flight import InFlight
from shared.observability.metrics import ReportMetrics
from shared.redis.client import REDIS_FAILURES
from shared.tasks import cancel

_PAGE_SIZE = 20
_MAX_PAUSE_SECONDS = 60.0
_FAREWELL_SECONDS = 1.0

log = structlog.get_logger()


class Lock(Protocol):
    """Held by one worker at a time."""

    async def take(self) -> bool:
        """Take it, or keep it for longer; tell whether it is held."""

    async def release(self) -> None:
        """Let the next worker have it at once."""


@dataclass(frozen=True, slots=True)
class Source:
    """One account's reports of one channel.

    Attributes:
        account: the account's name.
        pull: takes at most so many reports; raises `CannotAsk`.
    """

    account: str
    pull: Callable[[int], Awaitable[object]]


class ReportPuller:
    """Pulls from each source until it is empty, then rests; rests longer after each failure in a row.

    Args:
        sources: where reports are.
        lock: of all workers.
        take: stores a page of an account.
        interval: seconds between two rounds.
        metrics: counts pulls.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        lock: Lock,
        take: Callable[[Batch, str], Coroutine[Any, Any, None]],
        interval: float,
        metrics: ReportMetrics,
    ) -> None:
        self.in_flight = InFlight()
        self._sources = sources
        self._lock = lock
        self._take = until_redis_answers(take)
        self._interval = interval
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Pull no more; a page that has been handed out is still stored."""
        self._stopping.set()

    async def close(self) -> None:
        """End, whatever is in work; a moment is left for giving the lock back."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_FAREWELL_SECONDS)
            await cancel(self._task)

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._round()
                failures = 0
            except Exception as error:  # noqa: BLE001 - it must never stop trying
                failures += 1
                self._metrics.pulls.labels("failed").inc()
                log.warning("reports_not_pulled", error=_why(error), failures=failures)
            await self._rest(failures)
        with suppress(*REDIS_FAILURES):
            await self._lock.release()

    async def _round(self) -> None:
        for source in self._sources:
            while not self._stopping.is_set() and await self._lock.take():
                if await self._page(source) < _PAGE_SIZE:
                    break

    async def _page(self, source: Source) -> int:
        """Pull a page, store it, and return how many reports it had."""
        self.in_flight.enter()
        try:
            batch = read_items(await source.pull(_PAGE_SIZE), now())
            size = len(batch.reports) + batch.unreadable
            self._metrics.pulls.labels("reports" if size else "empty").inc()
            await self._take(batch, source.account)
        finally:
            self.in_flight.leave()
        return size

    async def _rest(self, failures: int) -> None:
        pause = min(self._interval * 2 ** min(failures, 10), max(self._interval, _MAX_PAUSE_SECONDS))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause * random.uniform(0.75, 1.25)):  # noqa: S311 - spreads, hides nothing
                await self._stopping.wait()


def _why(error: Exception) -> str:
    return error.why if isinstance(error, CannotAsk) else type(error).__name__
