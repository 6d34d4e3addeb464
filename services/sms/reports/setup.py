"""Status reports, put together: pushed, pulled, or neither."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.provider.yunpian.client import Yunpian
from services.sms.reports.metrics import ReportTally
from services.sms.reports.poller import ReportPuller, Source
from services.sms.reports.pull_lock import PullLock
from services.sms.reports.repository import RedisReportBook
from services.sms.reports.service import take_reports
from services.sms.reports.webhook import Callbacks
from services.sms.settings import ReportSettings
from shared.clock import now
from shared.contracts.messages import Channel
from shared.observability.metrics import HttpMetrics, ReportMetrics

_CHANNELS: tuple[Channel, ...] = ("sms", "voice")


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What the worker uses of it.

    Attributes:
        tally: counts acceptances too, which reports are measured against.
        callbacks: what the handlers of pushes need.
        puller: pulls, where that is wanted.
    """

    tally: ReportTally
    callbacks: Callbacks
    puller: ReportPuller | None

    def stop(self) -> None:
        """Take in no more."""
        if self.puller is not None:
            self.puller.stop()

    def in_flight(self) -> int:
        """Return how many pushes and pulled pages are in work."""
        return self.callbacks.in_flight() + (self.puller.in_flight() if self.puller else 0)


def open_reports(
    settings: ReportSettings,
    accounts: Sequence[Yunpian],
    redis: Redis,
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> ReportParts:
    """Construct everything, closed with the stack."""
    metrics = ReportMetrics(registry)
    tally = ReportTally(metrics, now)
    take = partial(take_reports, book=RedisReportBook(redis), tally=tally)
    callbacks = Callbacks(settings.callback_secrets, take, HttpMetrics(registry))
    callbacks.metrics.watch_in_flight(callbacks.in_flight)
    if settings.sms_reports != "pull":
        return ReportParts(tally, callbacks, None)
    sources = [
        Source(account.name, partial(account.pull_reports, channel))
        for account in accounts
        for channel in _CHANNELS
    ]
    puller = ReportPuller(sources, PullLock(redis), take, settings.sms_pull_interval, metrics)
    stack.push_async_callback(puller.close)
    puller.start()
    return ReportParts(tally, callbacks, puller)
