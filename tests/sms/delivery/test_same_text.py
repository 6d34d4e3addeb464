"""A text that went out before, by an earlier attempt or another message with the same code: its state."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import AttemptHistory
from services.sms.delivery.texts import text_keys
from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, UNCLEAR, Answer, DuplicateHint, SendStatus
from services.sms.reports.models import ReportStatus, StatusReport
from shared.contracts.message_status import MessageStatuses
from tests.support.clock import NOW
from tests.support.sms_delivery import (
    ACCEPTED,
    BUSY,
    DEFERRED,
    FOUND,
    LAG,
    MESSAGE,
    OUTGOING,
    REJECTED,
    SAME_TEXT,
    TIMEOUT,
    TOO_OFTEN,
    DeliveryHarness,
    acceptance,
)

AGAIN = MESSAGE.model_copy(update={"message_id": "m2"})
THREE_TIMES = Answer(SendStatus.LIMITED, "9", "main", duplicate_hint=DuplicateHint.CERTAIN)
FREQUENCY = Answer(SendStatus.LIMITED, "53", "main", duplicate_hint=DuplicateHint.LIKELY)


def again(harness: DeliveryHarness) -> DeliveryHarness:
    """Return the same code, asked for again."""
    return DeliveryHarness(harness.redis, message=AGAIN)


async def report(harness: DeliveryHarness, status: ReportStatus, sid: str = "7") -> None:
    known = StatusReport(sid, status, "" if status == "delivered" else "DB:0103", NOW + timedelta(seconds=9))
    await harness.repository.apply_reports([known], "")


async def client_state(harness: DeliveryHarness) -> str:
    status = await MessageStatuses(harness.redis).get(harness.message.message_id)
    assert status is not None
    return status.state


@pytest.fixture
async def first(own_redis: Redis) -> DeliveryHarness:
    """A message that was accepted although its publisher has got no confirmation."""
    harness = DeliveryHarness(own_redis).answering(ACCEPTED)
    await harness.deliver()
    return harness


@pytest.mark.parametrize("answer", [SAME_TEXT, THREE_TIMES, TOO_OFTEN, FREQUENCY])
async def test_a_code_that_was_asked_for_again_is_sent_and_not_limited(
    first: DeliveryHarness, answer: Answer
) -> None:
    second = again(first).answering(answer)

    result = await second.deliver()

    assert (result.status, result.detail, result.resolution) == ("accepted", "7", "same_text")
    assert await client_state(second) == "sent"
    assert result.sent_twice is False
    labels = {"dial_code": "86", "prefix": "138"}
    counts = [one.registry.get_sample_value("dialpass_sms_accepted_total", labels) for one in (first, second)]
    assert counts == [1, None], "one text"


@pytest.mark.parametrize("status", ["delivered", "failed"])
@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
async def test_both_messages_get_the_report_of_the_text(
    first: DeliveryHarness, status: ReportStatus, *, early: bool
) -> None:
    second = again(first).answering(SAME_TEXT)
    if early:
        await report(first, status)
    await second.deliver()
    if not early:
        await report(first, status)

    assert [await client_state(harness) for harness in (first, second)] == [status, status]


async def test_three_messages_share_a_text(first: DeliveryHarness) -> None:
    others = [again(first), again(first)]
    others[1].message = MESSAGE.model_copy(update={"message_id": "m3"})
    for other in others:
        await other.answering(SAME_TEXT).deliver()
    await report(first, "failed")
    await report(first, "delivered")

    assert [await client_state(harness) for harness in (first, *others)] == ["delivered"] * 3


@pytest.mark.parametrize(("answer", "status"), [(SAME_TEXT, "accepted"), (TOO_OFTEN, "waiting")])
async def test_while_the_outcome_of_the_same_text_is_unknown_the_message_is_not_limited(
    own_redis: Redis, answer: Answer, status: str
) -> None:
    first = DeliveryHarness(own_redis).answering(TIMEOUT)
    await first.deliver()
    second = again(first).answering(answer)

    assert (await second.deliver()).status == status
    await first.repository.record_acceptance("m1", acceptance("7"))
    await second.answering(answer).deliver()
    assert await client_state(second) == "sent"


@pytest.mark.parametrize("answer", [REJECTED, TOO_OFTEN])
async def test_a_text_that_was_not_sent_explains_no_limit(own_redis: Redis, answer: Answer) -> None:
    first = DeliveryHarness(own_redis).answering(answer)
    await first.deliver()

    assert (await again(first).answering(SAME_TEXT).deliver()).status == "limited"


@pytest.mark.parametrize("change", [{"code": "654321"}, {"mobile": "13900000000"}, {"channel": "voice"}])
async def test_a_limit_after_another_text_stays_a_limit(
    first: DeliveryHarness, change: dict[str, str]
) -> None:
    other = again(first).answering(TOO_OFTEN)
    other.message = AGAIN.model_copy(update=change)

    assert (await other.deliver()).status == "limited"


async def test_a_text_is_forgotten_after_five_minutes_and_never_readable(
    first: DeliveryHarness, own_redis: Redis
) -> None:
    [key] = [key async for key in own_redis.scan_iter("sms:text:*")]

    assert 290 < await own_redis.ttl(key) <= 300
    value: Any = await own_redis.get(key)
    content = key.decode() + value.decode()
    assert MESSAGE.mobile not in content
    assert MESSAGE.code not in content
    assert text_keys("another secret")(OUTGOING).encode() != key


@pytest.mark.parametrize("earlier", [BUSY, TIMEOUT])
@pytest.mark.parametrize("answer", [SAME_TEXT, THREE_TIMES])
@pytest.mark.parametrize("found", [FOUND, NOT_FOUND, UNCLEAR, UNAVAILABLE])
async def test_after_any_earlier_attempt_the_same_text_means_that_it_was_accepted(
    own_redis: Redis, earlier: Answer, answer: Answer, found: object
) -> None:
    harness = DeliveryHarness(own_redis).answering(earlier)
    first = await harness.deliver()
    assert first.retry is not None

    harness.after(5).answering(answer, found=found)  # type: ignore[arg-type]
    result = await harness.deliver(first.retry.history)

    assert result.status == "accepted"
    assert (result.detail == "7") == (found is FOUND)


async def test_a_record_that_may_be_the_messages_is_never_not_sent(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).answering(TIMEOUT)
    await harness.deliver()

    for _ in range(3):
        result = await harness.after(LAG).answering(found=UNCLEAR).deliver()
        assert result.status == "in_doubt"
    assert len(harness.provider.sent) == 1
    harness.after(600).answering(found=UNCLEAR)
    assert (await harness.deliver()).status == "expired"
    assert len(harness.provider.sent) == 1


async def test_a_message_remembers_the_accounts_that_it_has_halted(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).answering(replace(DEFERRED, halted=frozenset({"main"})))

    result = await harness.deliver(AttemptHistory(0, NOW, halted=frozenset({"backup"})))

    assert result.retry is not None
    assert result.retry.history.halted == {"main", "backup"}
    await harness.answering(ACCEPTED).deliver(result.retry.history)
    assert harness.provider.sent[-1].halted == {"main", "backup"}
