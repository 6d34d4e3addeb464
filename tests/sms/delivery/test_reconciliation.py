"""The use case of the SMS worker: attempts of which nobody knows whether they were accepted."""

from dataclasses import replace

import pytest

from services.sms.delivery.models import Doubt, Trace
from services.sms.delivery.outcomes import Wait
from services.sms.provider.base import NOT_FOUND, UNKNOWN, Answer, Found
from tests.support.fakes import NOW, FakeProvider
from tests.support.ledger_rules import acceptance
from tests.support.sms_delivery import (
    ACCEPTED,
    BLOCKED,
    BUSY,
    FOUND,
    HALTED,
    LAG,
    OUTGOING,
    SAME_TEXT,
    TEXT,
    TIMEOUT,
    TOO_OFTEN,
    WINDOW,
    Case,
)


async def in_doubt(*accounts: str) -> Case:
    """Return a message whose first attempt, at NOW, ended without an answer."""
    case = Case(FakeProvider([TIMEOUT], accounts=accounts or ("main",)))
    assert (await case.deliver()).outcome == "in_doubt"
    case.provider.sent.clear()
    case.provider.only_accounts.clear()
    return case


def died(**trace: object) -> Trace:
    """Return the trace of a message whose worker died."""
    return replace(Trace(0, NOW, redelivered=True), **trace)  # type: ignore[arg-type]


async def test_an_attempt_without_an_answer_waits_as_short_as_possible() -> None:
    case = Case().answering(TIMEOUT)
    delivery = await case.after(1).deliver()
    assert delivery.wait == Wait(5.0, Trace(1, case.now, "main"))
    assert case.ledger.records["m1"].doubt == Doubt(case.now, "main")


@pytest.mark.parametrize("age", [0, 5, WINDOW - 1])
async def test_a_doubt_inside_the_window_is_sent_again_with_the_same_text_to_the_same_account(
    age: int,
) -> None:
    case = (await in_doubt("main", "second")).after(age).answering(ACCEPTED)
    delivery = await case.deliver(died())
    assert (delivery.outcome, delivery.attempts, delivery.resolution) == ("accepted", 2, "resent")
    assert case.provider.sent == [OUTGOING]
    assert case.provider.only_accounts == ["main"]
    assert case.provider.searches == []


async def test_the_account_of_a_failover_is_the_one_in_doubt() -> None:
    case = Case(FakeProvider([replace(TIMEOUT, account="second")], accounts=("main", "second")))
    await case.deliver()
    case.answering(ACCEPTED)
    await case.deliver()
    assert case.provider.only_accounts == [None, "second"]


@pytest.mark.parametrize(
    ("answer", "found", "sid"),
    [
        (SAME_TEXT, FOUND, "7"),
        (SAME_TEXT, NOT_FOUND, ""),
        (SAME_TEXT, UNKNOWN, ""),
        (TOO_OFTEN, FOUND, "7"),
        (TOO_OFTEN, UNKNOWN, ""),
    ],
)
async def test_the_filter_tells_that_the_attempt_in_doubt_had_been_accepted(
    answer: Answer, found: Found, sid: str
) -> None:
    case = (await in_doubt()).after(5).answering(answer, found=found)
    delivery = await case.deliver(died())
    assert (delivery.outcome, delivery.detail, delivery.resolution) == ("accepted", sid, "filtered")
    assert case.provider.searches == [("main", "13800000000", TEXT, NOW)]


async def test_a_limit_that_other_texts_may_have_reached_leaves_the_doubt() -> None:
    case = (await in_doubt()).after(5).answering(TOO_OFTEN, found=NOT_FOUND)
    delivery = await case.deliver(died())
    assert delivery.outcome == "in_doubt"
    assert delivery.wait is not None
    case.after(LAG).answering(TOO_OFTEN, found=NOT_FOUND)
    assert (await case.deliver(delivery.wait.trace)).outcome == "limited"


async def test_a_doubt_outlives_attempts_that_were_not_sent() -> None:
    case = await in_doubt()
    for answer in (BUSY, HALTED, TIMEOUT):
        delivery = await case.after(1).answering(answer).deliver()
        assert delivery.wait is not None
        assert delivery.wait.trace.since == NOW
    assert case.ledger.records["m1"].doubt == Doubt(NOW, "main")
    assert (await case.answering(SAME_TEXT).deliver()).outcome == "accepted"


@pytest.mark.parametrize("age", [WINDOW, 60, 599, 600, 6000])
async def test_a_doubt_outside_the_window_is_looked_up_and_found(age: int) -> None:
    case = (await in_doubt()).after(age).answering(found=FOUND)
    delivery = await case.deliver()
    assert (delivery.outcome, delivery.detail, delivery.resolution) == ("accepted", "7", "found")
    assert case.provider.sent == []
    assert case.provider.searches == [("main", "13800000000", TEXT, NOW)]


@pytest.mark.parametrize(("age", "found"), [(WINDOW, NOT_FOUND), (LAG - 1, NOT_FOUND), (LAG, UNKNOWN)])
async def test_a_doubt_that_cannot_be_settled_yet_waits_and_sends_nothing(age: int, found: Found) -> None:
    case = (await in_doubt()).after(age).answering(found=found)
    delivery = await case.deliver()
    assert delivery.outcome == "in_doubt"
    assert delivery.wait == Wait(15.0, Trace(1, NOW, "main"))
    assert case.provider.sent == []


async def test_what_the_provider_does_not_know_is_sent_again_by_any_account() -> None:
    case = (await in_doubt("main", "second")).after(LAG).answering(ACCEPTED, found=NOT_FOUND)
    delivery = await case.deliver()
    assert (delivery.outcome, delivery.attempts, delivery.resolution) == ("accepted", 2, "resent")
    assert case.provider.only_accounts == [None]


async def test_it_is_sent_again_once_on_the_word_that_nobody_knows_it() -> None:
    case = await in_doubt()
    delivery = await case.after(LAG).answering(TIMEOUT, found=NOT_FOUND).deliver()
    assert delivery.wait is not None
    assert delivery.wait.trace == Trace(2, case.now, "main", resent=True)
    case.after(LAG).answering(found=NOT_FOUND)
    delivery = await case.deliver(delivery.wait.trace)
    assert (delivery.outcome, delivery.detail) == ("failed", "unresolved")
    assert len(case.provider.sent) == 1


async def test_a_doubt_after_that_is_settled_inside_its_own_window() -> None:
    case = await in_doubt()
    await case.after(LAG).answering(TIMEOUT, found=NOT_FOUND).deliver()
    assert (await case.after(5).answering(SAME_TEXT).deliver()).resolution == "filtered"


async def test_an_expired_doubt_that_nobody_knows_is_expired() -> None:
    case = (await in_doubt()).after(600).answering(found=NOT_FOUND)
    delivery = await case.deliver()
    assert (delivery.outcome, delivery.resolution) == ("expired", "unresolved")
    assert case.provider.sent == []


async def test_an_expired_doubt_waits_a_while_for_a_provider_that_cannot_be_asked() -> None:
    case = (await in_doubt()).after(600).answering(found=UNKNOWN)
    delivery = await case.deliver()
    assert (delivery.outcome, case.provider.sent) == ("in_doubt", [])
    assert delivery.wait is not None
    assert (await case.after(2 * LAG).deliver(delivery.wait.trace)).outcome == "expired"


async def test_a_doubt_waits_even_beyond_its_expiry_to_be_settled() -> None:
    case = Case().after(598).answering(TIMEOUT)
    delivery = await case.deliver()
    assert delivery.wait is not None
    assert (await case.after(5).answering(found=FOUND).deliver(delivery.wait.trace)).outcome == "accepted"


@pytest.mark.parametrize(
    ("age", "found", "outcome"),
    [
        (5, FOUND, "accepted"),
        (5, UNKNOWN, "in_doubt"),
        (5, NOT_FOUND, "in_doubt"),
    ],
)
async def test_a_refusal_after_a_doubt_does_not_end_the_message_before_it_is_looked_up(
    age: int, found: Found, outcome: str
) -> None:
    case = (await in_doubt()).after(age).answering(BLOCKED, found=found)
    assert (await case.deliver()).outcome == outcome


async def test_a_refusal_of_what_nobody_knows_ends_the_message() -> None:
    case = (await in_doubt()).after(LAG).answering(BLOCKED, found=NOT_FOUND)
    assert (await case.deliver()).outcome == "failed"


async def test_an_empty_redis_makes_a_redelivered_message_a_doubt() -> None:
    case = Case().after(WINDOW).answering(found=FOUND)
    assert (await case.deliver(died())).outcome == "accepted"
    assert case.provider.sent == []


async def test_an_empty_redis_makes_a_tried_message_a_doubt_of_the_account_that_it_names() -> None:
    case = Case(FakeProvider(accounts=("main", "second"))).after(5).answering(SAME_TEXT)
    delivery = await case.deliver(Trace(1, NOW, "second"))
    assert (delivery.outcome, delivery.attempts) == ("accepted", 2)
    assert case.provider.only_accounts == ["second"]


async def test_where_nobody_knows_the_account_all_are_asked_and_none_is_called() -> None:
    case = Case(FakeProvider(accounts=("main", "second"))).after(5).answering(found=NOT_FOUND)
    assert (await case.deliver(died())).outcome == "in_doubt"
    assert [search[0] for search in case.provider.searches] == ["main", "second"]
    assert case.provider.sent == []


async def test_where_there_is_one_account_it_is_the_one_in_doubt() -> None:
    case = Case().after(5).answering(ACCEPTED)
    assert (await case.deliver(died())).outcome == "accepted"
    assert case.provider.only_accounts == ["main"]


async def test_an_empty_redis_makes_a_new_message_no_doubt() -> None:
    assert (await Case().answering(ACCEPTED).deliver()).outcome == "accepted"


async def test_a_second_acceptance_is_noticed() -> None:
    case = await in_doubt()
    await case.ledger.accept("m1", acceptance("6"))
    assert (await case.deliver()).outcome == "duplicate"

    class Late(FakeProvider):
        async def send(self, *arguments: object, **options: object) -> Answer:
            await case.ledger.accept("m1", acceptance("6"))
            return ACCEPTED

    case = Case(Late())
    assert (await case.deliver()).second_text
