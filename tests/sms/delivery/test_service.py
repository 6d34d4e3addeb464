"""Delivering messages whose earlier attempts, if any, have a known outcome, on a real Redis."""

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import AttemptHistory, DeliveryResult, Outcome, Retry
from services.sms.delivery.repository import MessageRepository
from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, Answer, SearchResult
from shared.contracts.message_status import record_key
from tests.support.clock import NOW
from tests.support.fake_provider import FakeProvider
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
    UNKNOWN_CODE,
    DeliveryHarness,
    acceptance,
)


@pytest.fixture
def harness(own_redis: Redis) -> DeliveryHarness:
    return DeliveryHarness(own_redis)


async def test_a_message_is_sent_after_its_attempt_is_recorded(harness: DeliveryHarness) -> None:
    harness.answering(ACCEPTED)
    assert await harness.deliver() == DeliveryResult("accepted", 1, "7", answer=ACCEPTED)
    assert harness.provider.sent == [OUTGOING]
    assert harness.states == ["attempting", "accepted"]


async def test_an_acceptance_is_recorded_with_what_reports_and_metrics_need(harness: DeliveryHarness) -> None:
    await harness.answering(ACCEPTED).deliver()
    fields = await harness.repository.fields("m1")
    assert (fields["account"], fields["sid"], fields["accepted_at"]) == ("main", "7", NOW.isoformat())
    assert (fields["parts"], fields["dial_code"], fields["prefix"]) == ("1", "86", "138")


async def test_an_acceptance_is_counted_once(harness: DeliveryHarness) -> None:
    await harness.answering(ACCEPTED).deliver()
    await harness.deliver()
    labels = {"dial_code": "86", "prefix": "138"}
    assert harness.registry.get_sample_value("dialpass_sms_accepted_total", labels) == 1


@pytest.mark.parametrize("age", [600, 601, 86_400])
async def test_an_expired_message_is_not_sent(harness: DeliveryHarness, age: int) -> None:
    assert (await harness.after(age).deliver()).status == "expired"
    assert harness.provider.sent == []
    assert harness.states == ["expired"]


@pytest.mark.parametrize("state", ["accepted", "delivered", "failed", "expired", "limited"])
@pytest.mark.parametrize("age", [0, 600])
async def test_a_message_in_a_final_state_is_not_sent(own_redis: Redis, state: str, age: int) -> None:
    repository = MessageRepository(own_redis)
    if state in {"failed", "expired", "limited"}:
        await repository.record_outcome("m1", Outcome(state, 1))  # type: ignore[arg-type]
    else:
        await repository.record_acceptance("m1", acceptance("7"))
        await own_redis.hset(record_key("m1"), "state", state)
    harness = DeliveryHarness(own_redis).after(age)
    assert (await harness.deliver()).status == "duplicate"
    assert (harness.provider.sent, harness.states) == ([], [])


@pytest.mark.parametrize("answer", [SAME_TEXT, TOO_OFTEN])
async def test_a_limit_of_the_number_ends_the_message(harness: DeliveryHarness, answer: Answer) -> None:
    harness.answering(answer)
    assert await harness.deliver() == DeliveryResult("limited", 1, answer.code, answer=answer)
    assert harness.states == ["attempting", "limited"]
    assert harness.provider.searches == []


async def test_a_rejection_ends_the_message(harness: DeliveryHarness) -> None:
    harness.answering(REJECTED)
    assert await harness.deliver() == DeliveryResult("failed", 1, "10", answer=REJECTED)
    assert harness.states == ["attempting", "failed"]


async def test_after_an_unknown_code_the_outcome_is_unknown(harness: DeliveryHarness) -> None:
    harness.answering(UNKNOWN_CODE, SAME_TEXT, found=NOT_FOUND)
    assert (await harness.deliver()).status == "in_doubt"
    assert (await harness.after(5).deliver()).status == "accepted"


async def test_a_message_that_was_not_sent_waits_longer_each_time(harness: DeliveryHarness) -> None:
    delays, history = [], None
    for _ in range(4):
        result = await harness.answering(BUSY).deliver(history)
        assert result.status == "waiting"
        assert result.retry is not None
        delays.append(result.retry.delay)
        history = result.retry.history
        harness.after(result.retry.delay)
    assert delays == [15.0, 60.0, 60.0, 60.0]
    assert history == AttemptHistory(4, NOW, "main")
    assert (await harness.answering(ACCEPTED).deliver(history)).status == "accepted"


@pytest.mark.parametrize(
    ("answer", "left", "delay"), [(BUSY, 16, 15), (BUSY, 15, 5), (BUSY, 6, 5), (DEFERRED, 6, 5)]
)
async def test_no_retry_is_later_than_the_expiry(
    harness: DeliveryHarness, answer: Answer, left: float, delay: float
) -> None:
    result = await harness.after(600 - left).answering(answer).deliver()
    assert result.retry is not None
    assert result.retry.delay == delay


@pytest.mark.parametrize("answer", [BUSY, DEFERRED])
async def test_a_message_that_would_expire_while_it_waits_expires(
    harness: DeliveryHarness, answer: Answer
) -> None:
    assert (await harness.after(595).answering(answer).deliver()).status == "expired"
    assert harness.states == ["attempting", "expired"]


async def test_a_deferred_message_is_kept_and_no_attempt_counted(harness: DeliveryHarness) -> None:
    result = await harness.answering(DEFERRED).deliver()
    retry = Retry(5.0, AttemptHistory(0, NOW, "main"))
    assert result == DeliveryResult("halted", 0, "3", retry, DEFERRED)
    assert harness.states == ["attempting", "reserved"]
    result = await harness.answering(ACCEPTED).deliver(AttemptHistory(0, NOW, "main"))
    assert result.status == "accepted"


@pytest.mark.parametrize("found", [UNAVAILABLE, NOT_FOUND, FOUND])
async def test_a_call_of_unknown_outcome_is_not_repeated_because_no_filter_and_no_record_knows_it(
    own_redis: Redis, found: SearchResult
) -> None:
    message = MESSAGE.model_copy(update={"channel": "voice"})
    harness = DeliveryHarness(own_redis, message=message).answering(TIMEOUT)
    await harness.deliver()
    assert (await harness.after(5).answering(found=found).deliver()).status == "in_doubt"
    assert (await harness.after(LAG).answering(found=found).deliver()).status == "in_doubt"
    assert len(harness.provider.sent) == 1


async def test_a_superseded_attempt_ends_nothing(own_redis: Redis) -> None:
    class Superseded(FakeProvider):
        async def send(self, *arguments: object, **options: object) -> Answer:
            await own_redis.hset(record_key("m1"), "token", "another")
            return SAME_TEXT

    harness = DeliveryHarness(own_redis, Superseded())
    result = await harness.deliver()
    assert result.status == "superseded"
    assert result.retry is not None
    assert harness.states == ["attempting"]


def test_the_repr_of_an_outgoing_message_shows_neither_number_nor_text_nor_code() -> None:
    shown = repr(OUTGOING)
    assert "123456" not in shown
    assert "13800000000" not in shown
