"""Pulling status reports, where they are not pushed, by one worker at a time.

Yunpian forgets a report once it has handed it out. A page (20 reports at most) is therefore lost if a worker
is killed between receiving and storing it, or if the answer is cut off; its messages stay `sent`. To keep
that loss small, the lock is renewed right before each pull, a page is stored before the next one is pulled,
and a page that Redis does not take is held and retried, during a shutdown too until its deadline.

The sources, one per account and channel, are pulled independently: one that is refused, because an account
has no calls or no pulls switched on, or that does not answer, neither stops nor delays the others.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import LockError

from services.sms.provider.yunpian.client import QueryFailed
from services.sms.provider.yunpian.reports import parse_items
from services.sms.reports.service import ReportService
from shared.clock import now
from shared.http.in_flight import InFlight
from shared.observability.metrics import ReportMetrics
from shared.redis.client import REDIS_FAILURES
from shared.redis.retry import retry_until_available
from shared.tasks import cancel, supervise

LOCK_KEY = "sms:reports:puller"
# Longer than a pull may take. After a worker's death the next one waits this long; should the lock expire
# during a pull, two workers pull side by side and each stores what it was handed.
_LOCK_SECONDS = 30
_PAGE_SIZE = 20
_MAX_PAUSE_SECONDS = 60.0
_CLOSE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Source:
    """One account's reports of one channel.

    Attributes:
        account: the account's name.
        pull: returns at most that many reports; raises `QueryFailed`.
        channel: of the messages.
    """

    account: str
    pull: Callable[[int], Awaitable[object]]
    channel: str = ""


class ReportPoller:
    """Pulls from each source until it is empty, then pauses; longer after each of its failures in a row.

    Args:
        sources: where reports are pulled from.
        redis: holds the lock that all workers share.
        service: stores the reports.
        interval: seconds between two rounds.
        metrics: counts pulls.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        redis: Redis,
        service: ReportService,
        interval: float,
        metrics: ReportMetrics,
    ) -> None:
        self.in_flight = InFlight()
        self._sources = sources
        self._lock = redis.lock(LOCK_KEY, timeout=_LOCK_SECONDS, blocking=False, thread_local=False)
        # One token for the life of the worker: an acquisition whose answer was lost can still be renewed.
        self._token = secrets.token_hex(8)
        self._lock.local.token = self._token.encode()
        self._holding = asyncio.Lock()  # the sources must not compete for what one of them acquires
        self._store = retry_until_available(service.store)
        self._interval = interval
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start polling in the background."""
        self._task = asyncio.create_task(supervise("reports", self._run))

    def stop(self) -> None:
        """Pull no more pages; the page in work is still stored."""
        self._stopping.set()

    async def close(self) -> None:
        """Stop, and cancel what is in work after a moment to release the lock."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
            await cancel(self._task)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as sources:
            for source in self._sources:
                sources.create_task(self._follow(source))
        with suppress(*REDIS_FAILURES):  # a `LockError` too: another worker may hold it by now
            await self._lock.release()

    async def _follow(self, source: Source) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._empty(source)
                failures = 0
            except Exception as error:  # noqa: BLE001 - it must never stop trying
                failures += 1
                self._metrics.pulls.labels("failed").inc()
                log.warning(
                    "reports_not_pulled",
                    account=source.account,
                    channel=source.channel,
                    error=_reason(error),
                    failures=failures,
                )
            await self._pause(failures)

    async def _empty(self, source: Source) -> None:
        while not self._stopping.is_set() and await self._hold_lock():
            if await self._pull_page(source) < _PAGE_SIZE:
                break

    async def _hold_lock(self) -> bool:
        """Renew the lock, or acquire it if it is free; return whether this worker holds it."""
        async with self._holding:
            try:
                await self._lock.reacquire()
            except LockError:
                return bool(await self._lock.acquire(token=self._token))
            return True

    async def _pull_page(self, source: Source) -> int:
        """Pull a page, store it, and return the number of its reports."""
        self.in_flight.enter()
        try:
            batch = parse_items(await source.pull(_PAGE_SIZE), now())
            self._metrics.pulls.labels("reports" if batch.size else "empty").inc()
            await self._store(batch, source.account)
        finally:
            self.in_flight.leave()
        return batch.size

    async def _pause(self, failures: int) -> None:
        pause = min(self._interval * 2 ** min(failures, 10), max(self._interval, _MAX_PAUSE_SECONDS))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause * random.uniform(0.75, 1.25)):  # noqa: S311 - only spreads load
                await self._stopping.wait()


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, QueryFailed) else type(error).__name__
