"""Storing status reports, and measuring what they say."""

from datetime import datetime, timedelta

from services.sms.delivery.models import Acceptance
from services.sms.delivery.repository import MessageRepository
from services.sms.reports.models import ReportBatch, ReportResult, StatusReport
from shared.clock import Clock
from shared.observability.metrics import ReportMetrics

# The prefixes of carriers' codes: their gateways, or a message's final state. They bound the label values:
# there are thousands of codes, and anybody may add one.
_CODE_CLASSES = frozenset(
    {
        "DB", "MA", "MB", "MC", "MH", "MI", "MK", "MN", "IA", "IB", "IC", "ID", "CA", "CB", "CC", "CJ",
        "SGIP", "UNDELIV", "EXPIRED", "REJECTD", "REJECT", "DELETED", "UNKNOWN", "ACCEPTD", "BLACK", "LIMIT",
    }
)  # fmt: skip
_NUMERIC = "number"
_OTHER = "other"
# A report's time has a resolution of a second.
_TOLERANCE = timedelta(seconds=1)


class ReportService:
    """Applies status reports to the messages' records and counts what they changed.

    Args:
        repository: the messages' records.
        metrics: what is counted.
        clock: the current time, UTC.
    """

    def __init__(self, repository: MessageRepository, metrics: ReportMetrics, clock: Clock) -> None:
        self._repository = repository
        self._metrics = metrics
        self._clock = clock

    async def store(self, batch: ReportBatch, account: str = "") -> None:
        """Store the reports of a push or pull, all of them or none.

        Unreadable items are counted and dropped: the provider would only repeat them unchanged.

        Raises:
            shared.redis.client.REDIS_FAILURES: Redis is unavailable.
        """
        if batch.reports:
            results = await self._repository.apply_reports(batch.reports, account)
            for report, result in zip(batch.reports, results, strict=True):
                self._count(report, result)
        self._metrics.reports.labels("unreadable").inc(batch.unreadable)
        self._metrics.reports.labels("undecided").inc(batch.undecided)
        self._metrics.reports.labels("reply").inc(batch.replies)

    def count_acceptance(self, acceptance: Acceptance, early_report: StatusReport | None) -> None:
        """Count a message that the provider has accepted, and the report that came before, if any."""
        self._metrics.accepted.labels(acceptance.dial_code, acceptance.prefix).inc()
        if early_report is not None:
            result = ReportResult(
                known=True,
                applied=True,
                accepted_at=acceptance.accepted_at,
                dial_code=acceptance.dial_code,
                prefix=acceptance.prefix,
            )
            self._count(early_report, result)

    def _count(self, report: StatusReport, result: ReportResult) -> None:
        self._metrics.reports.labels(_effect(result)).inc()
        if result.recovered:
            self._metrics.accepted.labels(result.dial_code, result.prefix).inc()
        if not result.applied:
            return
        self._metrics.ended.labels(result.dial_code, result.prefix, report.status).inc()
        if report.status == "failed":
            self._metrics.failures.labels(code_class(report.code)).inc()
        elif result.accepted_at is not None:
            self._metrics.delivery_seconds.observe(self._seconds(result.accepted_at, report.at))

    def _seconds(self, accepted_at: datetime, at: datetime) -> float:
        """Return how long a delivery took, until now where the reported time is impossible."""
        now = self._clock()
        if not accepted_at - _TOLERANCE <= at <= now + _TOLERANCE:
            at = now
        return max(0.0, (at - accepted_at).total_seconds())


def code_class(code: str) -> str:
    """Return the class of a carrier's code, one of a closed set."""
    prefix = code.partition(":")[0].upper()
    if prefix.isdecimal():
        return _NUMERIC
    return prefix if prefix in _CODE_CLASSES else _OTHER


def _effect(result: ReportResult) -> str:
    if not result.known:
        return "unknown"
    if result.recovered:
        return "recovered"
    return "applied" if result.applied else "duplicate"
