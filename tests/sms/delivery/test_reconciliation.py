"""Delivering messages with an attempt of unknown outcome, on a real Redis."""

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import AttemptHistory, Retry, UnknownOutcome
from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, Answer, SearchResult, SendStatus
from tests.support.clock import NOW
from tests.support.fake_provider import FakeProvider
from tests.support.sms_delivery import (
    ACCEPTED,
    BUSY,
    DEFERRED,
    FOUND,
    LAG,
    OUTGOING,
    REJECTED,
    SAME_TEXT,
    TEXT,
    TIMEOUT,
    TOO_OFTEN,
    WINDOW,
    DeliveryHarness,
    acceptance,
)


async def timed_out(redis: Redis, *accounts: str) -> DeliveryHarness:
    """Return a message whose first attempt, at NOW, timed out."""
    harness = DeliveryHarness(redis, FakeProvider([TIMEOUT], accounts=accounts or ("main",)))
    assert (await harness.deliver()).status == "in_doubt"
    harness.provider.sent.clear()
    harness.provider.only_accounts.clear()
    return harness


def died() -> AttemptHistory:
    """Return the history of a message whose worker died."""
    return AttemptHistory(0, NOW, redelivered=True)


async def test_an_attempt_without_an_answer_is_retried_after_the_shortest_delay(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).answering(TIMEOUT)
    result = await harness.after(1).deliver()
    assert result.retry == Retry(5.0, AttemptHistory(1, harness.now, "main"))
    assert await harness.unknown() == UnknownOutcome(harness.now, "main")


@pytest.mark.parametrize("age", [0, 5, WINDOW - 1])
async def test_within_the_filter_window_the_same_text_is_sent_to_the_same_account(
    own_redis: Redis, age: int
) -> None:
    harness = (await timed_out(own_redis, "main", "second")).after(age).answering(ACCEPTED)
    result = await harness.deliver(died())
    assert (result.status, result.attempts, result.resolution) == ("accepted", 2, "resent")
    assert harness.provider.sent == [OUTGOING]
    assert harness.provider.only_accounts == ["main"]
    assert harness.provider.searches == []


async def test_after_a_failover_the_second_account_is_the_unknown_one(own_redis: Redis) -> None:
    harness = DeliveryHarness(
        own_redis,
        FakeProvider([Answer(SendStatus.UNKNOWN, "timeout", "second")], accounts=("main", "second")),
    )
    await harness.deliver()
    harness.answering(ACCEPTED)
    await harness.deliver()
    assert harness.provider.only_accounts == [None, "second"]


@pytest.mark.parametrize(
    ("answer", "found", "sid"),
    [
        (SAME_TEXT, FOUND, "7"),
        (SAME_TEXT, NOT_FOUND, ""),
        (SAME_TEXT, UNAVAILABLE, ""),
        (TOO_OFTEN, FOUND, "7"),
        (TOO_OFTEN, UNAVAILABLE, ""),
    ],
)
async def test_the_duplicate_filter_tells_that_the_first_attempt_was_accepted(
    own_redis: Redis, answer: Answer, found: SearchResult, sid: str
) -> None:
    harness = (await timed_out(own_redis)).after(5).answering(answer, found=found)
    result = await harness.deliver(died())
    assert (result.status, result.detail, result.resolution) == ("accepted", sid, "filtered")
    assert harness.provider.searches == [("main", "13800000000", TEXT, NOW)]


async def test_a_limit_that_other_texts_may_have_reached_leaves_the_outcome_unknown(own_redis: Redis) -> None:
    harness = (await timed_out(own_redis)).after(5).answering(TOO_OFTEN, found=NOT_FOUND)
    result = await harness.deliver(died())
    assert result.status == "in_doubt"
    assert result.retry is not None
    harness.after(LAG).answering(TOO_OFTEN, found=NOT_FOUND)
    assert (await harness.deliver(result.retry.history)).status == "limited"


async def test_later_attempts_that_were_not_sent_keep_the_outcome_unknown(own_redis: Redis) -> None:
    harness = await timed_out(own_redis)
    for answer in (BUSY, DEFERRED, TIMEOUT):
        result = await harness.after(1).answering(answer).deliver()
        assert result.retry is not None
        assert result.retry.history.since == NOW
    assert await harness.unknown() == UnknownOutcome(NOW, "main")
    assert (await harness.answering(SAME_TEXT).deliver()).status == "accepted"


@pytest.mark.parametrize("age", [WINDOW, 60, 599, 600, 6000])
async def test_after_the_filter_window_the_message_is_looked_up_and_found(own_redis: Redis, age: int) -> None:
    harness = (await timed_out(own_redis)).after(age).answering(found=FOUND)
    result = await harness.deliver()
    assert (result.status, result.detail, result.resolution) == ("accepted", "7", "found")
    assert harness.provider.sent == []
    assert harness.provider.searches == [("main", "13800000000", TEXT, NOW)]


@pytest.mark.parametrize(("age", "found"), [(WINDOW, NOT_FOUND), (LAG - 1, NOT_FOUND), (LAG, UNAVAILABLE)])
async def test_an_outcome_that_cannot_be_resolved_yet_waits_and_sends_nothing(
    own_redis: Redis, age: int, found: SearchResult
) -> None:
    harness = (await timed_out(own_redis)).after(age).answering(found=found)
    result = await harness.deliver()
    assert result.status == "in_doubt"
    assert result.retry == Retry(15.0, AttemptHistory(1, NOW, "main"))
    assert harness.provider.sent == []


async def test_a_message_that_is_not_on_the_providers_record_is_resent_by_any_account(
    own_redis: Redis,
) -> None:
    harness = (await timed_out(own_redis, "main", "second")).after(LAG).answering(ACCEPTED, found=NOT_FOUND)
    result = await harness.deliver()
    assert (result.status, result.attempts, result.resolution) == ("accepted", 2, "resent")
    assert harness.provider.only_accounts == [None]


async def test_a_message_that_is_not_on_record_is_resent_once(own_redis: Redis) -> None:
    harness = await timed_out(own_redis)
    result = await harness.after(LAG).answering(TIMEOUT, found=NOT_FOUND).deliver()
    assert result.retry is not None
    assert result.retry.history == AttemptHistory(2, harness.now, "main", resent=True)
    harness.after(LAG).answering(found=NOT_FOUND)
    result = await harness.deliver(result.retry.history)
    assert (result.status, result.detail) == ("failed", "unresolved")
    assert len(harness.provider.sent) == 1


async def test_the_unknown_outcome_of_a_resend_has_its_own_filter_window(own_redis: Redis) -> None:
    harness = await timed_out(own_redis)
    await harness.after(LAG).answering(TIMEOUT, found=NOT_FOUND).deliver()
    assert (await harness.after(5).answering(SAME_TEXT).deliver()).resolution == "filtered"


async def test_an_expired_message_that_is_not_on_record_expires(own_redis: Redis) -> None:
    harness = (await timed_out(own_redis)).after(600).answering(found=NOT_FOUND)
    result = await harness.deliver()
    assert (result.status, result.resolution) == ("expired", "unresolved")
    assert harness.provider.sent == []


async def test_an_expired_message_waits_a_while_for_unavailable_records(own_redis: Redis) -> None:
    harness = (await timed_out(own_redis)).after(600).answering(found=UNAVAILABLE)
    result = await harness.deliver()
    assert (result.status, harness.provider.sent) == ("in_doubt", [])
    assert result.retry is not None
    assert (await harness.after(2 * LAG).deliver(result.retry.history)).status == "expired"


async def test_an_unknown_outcome_waits_beyond_the_expiry_to_be_resolved(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).after(598).answering(TIMEOUT)
    result = await harness.deliver()
    assert result.retry is not None
    assert (await harness.after(5).answering(found=FOUND).deliver(result.retry.history)).status == "accepted"


@pytest.mark.parametrize(
    ("age", "found", "outcome"),
    [
        (5, FOUND, "accepted"),
        (5, UNAVAILABLE, "in_doubt"),
        (5, NOT_FOUND, "in_doubt"),
    ],
)
async def test_a_refusal_after_an_unknown_outcome_does_not_end_the_message_before_it_is_looked_up(
    own_redis: Redis, age: int, found: SearchResult, outcome: str
) -> None:
    harness = (await timed_out(own_redis)).after(age).answering(REJECTED, found=found)
    assert (await harness.deliver()).status == outcome


async def test_a_refusal_of_a_message_that_is_not_on_record_ends_it(own_redis: Redis) -> None:
    harness = (await timed_out(own_redis)).after(LAG).answering(REJECTED, found=NOT_FOUND)
    assert (await harness.deliver()).status == "failed"


async def test_an_emptied_redis_makes_the_outcome_of_a_redelivered_message_unknown(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).after(WINDOW).answering(found=FOUND)
    assert (await harness.deliver(died())).status == "accepted"
    assert harness.provider.sent == []


async def test_an_emptied_redis_makes_the_outcome_at_the_account_in_the_headers_unknown(
    own_redis: Redis,
) -> None:
    harness = (
        DeliveryHarness(own_redis, FakeProvider(accounts=("main", "second"))).after(5).answering(SAME_TEXT)
    )
    result = await harness.deliver(AttemptHistory(1, NOW, "second"))
    assert (result.status, result.attempts) == ("accepted", 2)
    assert harness.provider.only_accounts == ["second"]


async def test_without_a_known_account_all_are_searched_and_none_is_called(own_redis: Redis) -> None:
    harness = (
        DeliveryHarness(own_redis, FakeProvider(accounts=("main", "second")))
        .after(5)
        .answering(found=NOT_FOUND)
    )
    assert (await harness.deliver(died())).status == "in_doubt"
    assert [search[0] for search in harness.provider.searches] == ["main", "second"]
    assert harness.provider.sent == []


async def test_a_single_account_is_the_known_one(own_redis: Redis) -> None:
    harness = DeliveryHarness(own_redis).after(5).answering(ACCEPTED)
    assert (await harness.deliver(died())).status == "accepted"
    assert harness.provider.only_accounts == ["main"]


async def test_an_emptied_redis_does_not_affect_a_new_message(own_redis: Redis) -> None:
    assert (await DeliveryHarness(own_redis).answering(ACCEPTED).deliver()).status == "accepted"


async def test_a_message_that_was_accepted_meanwhile_is_not_sent(own_redis: Redis) -> None:
    harness = await timed_out(own_redis)
    await harness.repository.record_acceptance("m1", acceptance("6"))
    assert (await harness.deliver()).status == "duplicate"


async def test_a_second_acceptance_is_detected(own_redis: Redis) -> None:
    class Late(FakeProvider):
        async def send(self, *arguments: object, **options: object) -> Answer:
            await harness.repository.record_acceptance("m1", acceptance("6"))
            return ACCEPTED

    harness = DeliveryHarness(own_redis, Late())
    assert (await harness.deliver()).sent_twice
