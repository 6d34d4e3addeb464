"""Constructs the receiving side of status reports: the webhook, and the poller where they are pulled."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.delivery.repository import MessageRepository
from services.sms.provider.yunpian.client import YunpianClient
from services.sms.reports.poller import ReportPoller, Source
from services.sms.reports.service import ReportService
from services.sms.reports.webhook import Webhook
from services.sms.settings import ReportSettings
from shared.clock import now
from shared.contracts.messages import Channel
from shared.observability.metrics import HttpMetrics, ReportMetrics

_CHANNELS: tuple[Channel, ...] = ("sms", "voice")


@dataclass(frozen=True, slots=True)
class ReportParts:
    """The parts that the worker uses.

    Attributes:
        service: stores reports and counts acceptances.
        webhook: receives pushes.
        poller: pulls, where that is configured.
    """

    service: ReportService
    webhook: Webhook
    poller: ReportPoller | None

    def stop(self) -> None:
        """Receive no more reports."""
        if self.poller is not None:
            self.poller.stop()

    def in_flight(self) -> int:
        """Return the number of pushes and pulled pages in work."""
        return self.webhook.in_flight() + (self.poller.in_flight() if self.poller else 0)


def open_reports(
    settings: ReportSettings,
    accounts: Sequence[YunpianClient],
    repository: MessageRepository,
    redis: Redis,
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> ReportParts:
    """Construct the parts; the stack closes them."""
    metrics = ReportMetrics(registry)
    service = ReportService(repository, metrics, now)
    webhook = Webhook(settings.callback_secrets, service, HttpMetrics(registry))
    webhook.metrics.watch_in_flight(webhook.in_flight)
    if settings.sms_reports != "pull":
        return ReportParts(service, webhook, None)
    sources = [
        Source(account.name, partial(account.pull_reports, channel), channel)
        for account in accounts
        for channel in _CHANNELS
    ]
    poller = ReportPoller(sources, redis, service, settings.sms_pull_interval, metrics)
    stack.push_async_callback(poller.close)
    poller.start()
    return ReportParts(service, webhook, poller)
