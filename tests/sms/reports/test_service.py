"""Storing status reports and counting them, on a real Redis."""

import secrets
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.delivery.repository import MessageRepository
from services.sms.reports.models import ReportBatch, ReportStatus, StatusReport
from services.sms.reports.service import ReportService, code_class
from shared.observability.metrics import ReportMetrics
from tests.support.clock import NOW, clock
from tests.support.sms_delivery import acceptance

ACCEPTED_AT = NOW - timedelta(seconds=20)
LABELS = {"dial_code": "86", "prefix": "138"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def repository(redis: Redis) -> MessageRepository:
    return MessageRepository(redis)


@pytest.fixture
def service(repository: MessageRepository, registry: CollectorRegistry) -> ReportService:
    return ReportService(repository, ReportMetrics(registry), clock)


@pytest.fixture
def sid() -> str:
    return str(secrets.randbits(48))


@pytest.fixture
async def message_id(repository: MessageRepository, sid: str) -> str:
    """A message that the provider accepted at ACCEPTED_AT."""
    message_id = secrets.token_hex(16)
    await repository.record_acceptance(message_id, acceptance(sid, accepted_at=ACCEPTED_AT))
    return message_id


def report(sid: str, status: ReportStatus = "delivered", seconds_ago: float = 15) -> StatusReport:
    code = "DB:0103" if status == "failed" else ""
    return StatusReport(sid, status, code, NOW - timedelta(seconds=seconds_ago))


def effects(registry: CollectorRegistry, effect: str) -> float | None:
    return registry.get_sample_value("dialpass_sms_reports_total", {"effect": effect})


@pytest.mark.usefixtures("message_id")
async def test_a_delivery_is_counted_and_measured(
    service: ReportService, registry: CollectorRegistry, sid: str
) -> None:
    await service.store(ReportBatch([report(sid)]))
    labels = LABELS | {"outcome": "delivered"}
    assert registry.get_sample_value("dialpass_sms_ended_total", labels) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_sum") == 5


def test_an_acceptance_is_counted(service: ReportService, registry: CollectorRegistry) -> None:
    service.count_acceptance(acceptance("1"), None)
    assert registry.get_sample_value("dialpass_sms_accepted_total", LABELS) == 1


async def test_a_report_before_the_acceptance_is_counted_with_it(
    service: ReportService, repository: MessageRepository, registry: CollectorRegistry, sid: str
) -> None:
    await service.store(ReportBatch([report(sid)]))
    accepted = acceptance(sid, accepted_at=ACCEPTED_AT)
    result = await repository.record_acceptance(secrets.token_hex(16), accepted)
    service.count_acceptance(accepted, result.early_report)
    assert registry.get_sample_value("dialpass_sms_accepted_total", LABELS) == 1
    labels = LABELS | {"outcome": "delivered"}
    assert registry.get_sample_value("dialpass_sms_ended_total", labels) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_sum") == 5


@pytest.mark.usefixtures("message_id")
@pytest.mark.parametrize("hours", [-8, 8], ids=["before the acceptance", "in the future"])
async def test_an_impossible_time_is_replaced_by_now(
    service: ReportService, registry: CollectorRegistry, sid: str, hours: int
) -> None:
    await service.store(ReportBatch([report(sid, seconds_ago=-hours * 3600)]))
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_sum") == 20


@pytest.mark.usefixtures("message_id")
async def test_a_failure_is_counted_by_the_class_of_its_code(
    service: ReportService, registry: CollectorRegistry, sid: str
) -> None:
    await service.store(ReportBatch([report(sid, "failed")]))
    assert registry.get_sample_value("dialpass_sms_report_failures_total", {"class": "DB"}) == 1
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_count") == 0


@pytest.mark.usefixtures("message_id")
async def test_duplicates_and_unknown_sids_are_counted_as_such_only(
    service: ReportService, registry: CollectorRegistry, sid: str
) -> None:
    await service.store(ReportBatch([report(sid), report(sid), report(str(secrets.randbits(48)))]))
    assert (effects(registry, "duplicate"), effects(registry, "unknown")) == (1, 1)
    assert registry.get_sample_value("dialpass_sms_delivery_seconds_count") == 1


async def test_unreadable_items_are_counted_and_the_others_stored(
    service: ReportService,
    repository: MessageRepository,
    registry: CollectorRegistry,
    sid: str,
    message_id: str,
) -> None:
    await service.store(ReportBatch([report(sid)], unreadable=2), "main")
    assert (await repository.fields(message_id))["state"] == "delivered"
    assert (effects(registry, "unreadable"), effects(registry, "applied")) == (2, 1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("DB:0103", "DB"), ("mk:0005", "MK"), ("UNDELIV", "UNDELIV"), ("12", "number"), ("X", "other")],
)
def test_the_classes_of_codes_are_a_closed_set(code: str, expected: str) -> None:
    assert code_class(code) == expected
