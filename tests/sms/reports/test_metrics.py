"""Status reports as metrics."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.sms.reports.metrics import ReportTally, code_class
from services.sms.reports.service import Batch, Reported, StatusReport, take_reports
from shared.observability.metrics import ReportMetrics
from tests.support.fakes import NOW, FakeReportBook, clock

ACCEPTED_AT = NOW - timedelta(seconds=20)
KNOWN = Reported(known=True, applied=True, accepted_at=ACCEPTED_AT, dial_code="86", prefix="138")
DELIVERED = StatusReport("1", "delivered", "", NOW - timedelta(seconds=15))
LABELS = {"dial_code": "86", "prefix": "138"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def tally(registry: CollectorRegistry) -> ReportTally:
    return ReportTally(ReportMetrics(registry), clock)


def test_a_delivery_counts_with_the_time_that_it_took(
    tally: ReportTally, registry: CollectorRegistry
) -> None:
    tally.accepted("86", "138")
    tally.stored(DELIVERED, KNOWN)
    assert registry.get_sample_value("dialpass_sms_accepted_total", LABELS) == 1
    labels = LABELS | {"outcome": "delivered"}
    assert registry.get_sample_value("dialpass_sms_ended_total", labels) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_sum") == 5


@pytest.mark.parametrize("hours", [-8, 8], ids=["before the acceptance", "in the future"])
def test_a_time_that_cannot_be_is_replaced_by_now(
    tally: ReportTally, registry: CollectorRegistry, hours: int
) -> None:
    elsewhere = StatusReport("1", "delivered", "", DELIVERED.at + timedelta(hours=hours))
    tally.stored(elsewhere, KNOWN)
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_sum") == 20


def test_a_failure_counts_by_the_class_of_its_code(tally: ReportTally, registry: CollectorRegistry) -> None:
    tally.stored(StatusReport("1", "failed", "DB:0103", NOW), KNOWN)
    assert registry.get_sample_value("dialpass_sms_report_failures_total", {"class": "DB"}) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_count") == 0


def test_duplicates_and_unknown_sids_end_nothing(tally: ReportTally, registry: CollectorRegistry) -> None:
    tally.stored(DELIVERED, Reported(known=True, applied=False, accepted_at=ACCEPTED_AT))
    tally.stored(DELIVERED, Reported(known=False, applied=False))
    for effect in ("duplicate", "unknown"):
        assert registry.get_sample_value("dialpass_sms_reports_total", {"effect": effect}) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_count") == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [("DB:0103", "DB"), ("mk:0005", "MK"), ("UNDELIV", "UNDELIV"), ("12", "number"), ("X", "other")],
)  # fmt: skip
def test_the_classes_of_codes_are_a_closed_set(code: str, expected: str) -> None:
    assert code_class(code) == expected


async def test_what_cannot_be_read_is_counted_and_the_rest_stored(
    tally: ReportTally, registry: CollectorRegistry
) -> None:
    book = FakeReportBook(KNOWN)
    await take_reports(Batch([DELIVERED], unreadable=2), "main", book=book, tally=tally)
    assert book.stored == [("main", DELIVERED)]
    assert registry.get_sample_value("dialpass_sms_reports_total", {"effect": "unreadable"}) == 2
    assert registry.get_sample_value("dialpass_sms_reports_total", {"effect": "applied"}) == 1
