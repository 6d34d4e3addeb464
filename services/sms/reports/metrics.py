"""Status reports as metrics."""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sms.reports.service import Reported, StatusReport
from shared.observability.metrics import ReportMetrics

# What carriers' codes begin with: their gateways, or the state that a message ended in. Metrics take no
# others, because the codes themselves are thousands and not ours to bound.
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


class ReportTally:
    """Counts reports by what they say and did, and how long deliveries took.

    Args:
        metrics: takes the counts.
        clock: the current time, UTC.
    """

    def __init__(self, metrics: ReportMetrics, clock: Callable[[], datetime]) -> None:
        self._metrics = metrics
        self._clock = clock

    def accepted(self, dial_code: str, prefix: str) -> None:
        """Count a message that the provider has accepted."""
        self._metrics.accepted.labels(dial_code, prefix).inc()

    def unreadable(self, count: int) -> None:
        """Count items that are no reports."""
        self._metrics.reports.labels("unreadable").inc(count)

    def stored(self, report: StatusReport, reported: Reported) -> None:
        """Count a report; a duplicate counts as nothing else."""
        self._metrics.reports.labels(_effect(reported)).inc()
        if not reported.applied:
            return
        self._metrics.ended.labels(reported.dial_code, reported.prefix, report.outcome).inc()
        if report.outcome == "failed":
            self._metrics.failures.labels(code_class(report.code)).inc()
        elif reported.accepted_at is not None:
            self._metrics.delivery_seconds.observe(self._seconds(reported.accepted_at, report.at))

    def _seconds(self, accepted_at: datetime, at: datetime) -> float:
        """Return how long a delivery took; to now where the time reported cannot be."""
        now = self._clock()
        if not accepted_at - _TOLERANCE <= at <= now + _TOLERANCE:
            at = now
        return max(0.0, (at - accepted_at).total_seconds())


def code_class(code: str) -> str:
    """Return the class of a carrier's code, from a closed set."""
    begin = code.partition(":")[0].upper()
    if begin.isdecimal():
        return _NUMERIC
    return begin if begin in _CODE_CLASSES else _OTHER


def _effect(reported: Reported) -> str:
    if not reported.known:
        return "unknown"
    return "applied" if reported.applied else "duplicate"
