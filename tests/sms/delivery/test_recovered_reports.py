"""Status reports of messages whose answer was lost: they are matched by the id that was sent along."""

import secrets
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import AttemptHistory, Outcome, UnknownOutcome
from services.sms.delivery.repository import sid_key
from services.sms.provider.base import NOT_FOUND
from services.sms.reports.models import ReportBatch, ReportResult, ReportStatus, StatusReport
from shared.clock import now
from shared.contracts.message_status import OPEN_MESSAGES, MessageStatus, MessageStatuses, record_key
from tests.support.clock import NOW
from tests.support.sms_delivery import ACCEPTED, BUSY, LAG, REJECTED, TIMEOUT, DeliveryHarness, acceptance

LABELS = {"dial_code": "86", "prefix": "138"}


def report(status: ReportStatus = "delivered", sid: str = "7", uid: str = "m1") -> StatusReport:
    return StatusReport(sid, status, "" if status == "delivered" else "DB:0103", now(), uid)


async def in_doubt(redis: Redis) -> DeliveryHarness:
    """Return a message whose answer was lost."""
    harness = DeliveryHarness(redis).answering(TIMEOUT)
    assert (await harness.deliver()).status == "in_doubt"
    return harness


@pytest.mark.parametrize("status", ["delivered", "failed"])
@pytest.mark.parametrize("account", ["", "main"], ids=["pushed", "pulled"])
async def test_a_report_settles_a_doubt(own_redis: Redis, status: ReportStatus, account: str) -> None:
    harness = await in_doubt(own_redis)

    await harness.reports.store(ReportBatch([report(status)]), account)

    fields = await harness.repository.fields("m1")
    assert (fields["state"], fields["sid"], fields["account"]) == (status, "7", "main")
    assert fields["accepted_at"] == NOW.isoformat()
    assert await own_redis.zscore(OPEN_MESSAGES, record_key("m1")) is None
    assert (await harness.after(LAG).answering(found=NOT_FOUND).deliver()).status == "duplicate"
    assert len(harness.provider.sent) == 1, "no second text"


async def test_it_is_counted_once_as_accepted_and_ended(own_redis: Redis) -> None:
    harness = await in_doubt(own_redis)

    for _ in range(3):
        await harness.reports.store(ReportBatch([report()]))
    # The answer was on its way after all.
    recorded = await harness.repository.record_acceptance("m1", acceptance("7"))

    assert recorded.effect == "known"
    count = harness.registry.get_sample_value
    assert count("dialpass_sms_accepted_total", LABELS) == 1
    assert count("dialpass_sms_ended_total", {**LABELS, "outcome": "delivered"}) == 1
    assert count("dialpass_sms_reports_total", {"effect": "recovered"}) == 1
    assert count("dialpass_sms_reports_total", {"effect": "duplicate"}) == 2
    fields = await harness.repository.fields("m1")
    assert (fields["parts"], fields["fee"], fields["state"]) == ("1", "0.05", "delivered")


async def test_a_report_that_overtakes_the_answer_is_of_one_text(own_redis: Redis) -> None:
    class Overtaking(type(DeliveryHarness(own_redis).provider)):  # type: ignore[misc]
        async def send(self, *arguments: object, **options: object) -> object:
            await harness.reports.store(ReportBatch([report()]))
            return ACCEPTED

    harness = DeliveryHarness(own_redis, Overtaking())
    result = await harness.deliver()

    assert (result.status, result.sent_twice) == ("accepted", False)
    assert (await harness.repository.fields("m1"))["state"] == "delivered"
    assert harness.registry.get_sample_value("dialpass_sms_accepted_total", LABELS) == 1


async def test_a_message_that_waits_for_another_attempt_is_not_sent_again(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).answering(BUSY)
    result = await harness.deliver()
    assert result.retry is not None
    await harness.reports.store(ReportBatch([report()]))

    assert (await harness.answering(ACCEPTED).deliver(result.retry.history)).status == "duplicate"


@pytest.mark.parametrize("state", ["failed", "expired", "limited"])
async def test_a_message_that_was_given_up_has_reached_its_user_after_all(
    own_redis: Redis, state: str
) -> None:
    harness = DeliveryHarness(own_redis).answering(REJECTED)
    await harness.deliver()
    await own_redis.hset(record_key("m1"), "state", state)

    await harness.reports.store(ReportBatch([report()]))

    assert (await harness.repository.fields("m1"))["state"] == "delivered"


async def test_the_failure_of_a_second_text_says_nothing_of_the_first(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).answering(ACCEPTED)
    await harness.deliver()

    await harness.reports.store(ReportBatch([report("failed", sid="8")]))
    assert (await harness.repository.fields("m1"))["state"] == "accepted"
    await harness.reports.store(ReportBatch([report("delivered", sid="8")]))
    assert (await harness.repository.fields("m1"))["state"] == "delivered"


async def test_an_accepted_message_without_a_sid_gets_its_report(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis)
    await harness.repository.record_acceptance("m1", acceptance(""))

    await harness.reports.store(ReportBatch([report()]))

    fields = await harness.repository.fields("m1")
    assert (fields["state"], fields["sid"]) == ("delivered", "7")
    assert harness.registry.get_sample_value("dialpass_sms_accepted_total", LABELS) is None


@pytest.mark.parametrize("sid", ["7", ""])
async def test_a_report_without_a_sid_is_matched_by_the_uid_alone(own_redis: Redis, sid: str) -> None:
    harness = await in_doubt(own_redis)
    if sid:
        await harness.repository.record_acceptance("m1", acceptance(sid))

    await harness.reports.store(ReportBatch([report("failed", sid="")]))
    assert (await harness.repository.fields("m1"))["state"] == "failed"
    await harness.reports.store(ReportBatch([report("delivered", sid="")]))

    assert (await harness.repository.fields("m1"))["state"] == "delivered"
    assert not await own_redis.exists(sid_key(""))


async def test_a_uid_that_is_not_ours_creates_no_record(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis)
    uid = secrets.token_hex(16)

    [result] = await harness.repository.apply_reports([report(uid=uid)], "")

    assert result == ReportResult(known=False, applied=False)
    assert await harness.repository.fields(uid) == {}


async def test_the_sid_counts_before_the_uid(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis)
    await harness.repository.record_acceptance("m1", acceptance("7"))
    await MessageStatuses(own_redis).put("m2", MessageStatus("queued", NOW))

    await harness.reports.store(ReportBatch([report(uid="m2")]))

    assert [(await harness.repository.fields(name))["state"] for name in ("m1", "m2")] == [
        "delivered",
        "queued",
    ]


async def test_a_doubt_on_record_of_an_older_worker_is_settled_without_labels(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis)
    doubt = Outcome("attempting", 1, "timeout", UnknownOutcome(NOW - timedelta(seconds=9), "main"))
    await harness.repository.record_outcome("m1", doubt)

    await harness.reports.store(ReportBatch([report()]))

    assert (await harness.repository.fields("m1"))["state"] == "delivered"
    history = AttemptHistory(1, NOW, "main")
    assert (await harness.deliver(history)).status == "duplicate"
