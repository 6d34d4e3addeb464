"""The use case of the SMS worker: what happens to a message that no doubt hangs over."""

import pytest

from services.sms.delivery.models import Trace
from services.sms.delivery.outcomes import Delivery, Wait
from services.sms.provider.base import NOT_FOUND, UNKNOWN, Answer, Found
from tests.support.fakes import NOW, FakeLedger, FakeProvider, FakeRecord
from tests.support.sms_delivery import (
    ACCEPTED,
    BLOCKED,
    BUSY,
    FOUND,
    HALTED,
    LAG,
    MESSAGE,
    OUTGOING,
    SAME_TEXT,
    TIMEOUT,
    TOO_OFTEN,
    UNHEARD_OF,
    Case,
)


async def test_a_message_is_sent_and_its_attempt_recorded_before() -> None:
    case = Case().answering(ACCEPTED)
    assert await case.deliver() == Delivery("accepted", 1, "7", answer=ACCEPTED)
    assert case.provider.sent == [OUTGOING]
    assert case.states == ["attempting", "accepted"]


async def test_an_acceptance_is_recorded_with_all_that_reports_and_metrics_need() -> None:
    case = Case().answering(ACCEPTED)
    await case.deliver()
    acceptance = case.ledger.records["m1"].acceptance
    assert acceptance is not None
    assert (acceptance.account, acceptance.sid, acceptance.at) == ("main", "7", NOW)
    assert (acceptance.parts, acceptance.dial_code, acceptance.prefix) == (1, "86", "138")


@pytest.mark.parametrize("age", [600, 601, 86_400])
async def test_an_expired_message_is_not_sent(age: int) -> None:
    case = Case().after(age)
    assert (await case.deliver()).outcome == "expired"
    assert case.provider.sent == []
    assert case.states == ["expired"]


@pytest.mark.parametrize("state", ["accepted", "delivered", "failed", "expired", "limited"])
@pytest.mark.parametrize("age", [0, 600])
async def test_a_message_that_is_done_is_not_sent_again(state: str, age: int) -> None:
    case = Case(ledger=FakeLedger({"m1": FakeRecord(state)})).after(age)  # type: ignore[arg-type]
    assert (await case.deliver()).outcome == "duplicate"
    assert (case.provider.sent, case.states) == ([], [])


async def test_a_limit_of_the_number_ends_the_message() -> None:
    for answer in (SAME_TEXT, TOO_OFTEN):
        case = Case().answering(answer)
        assert await case.deliver() == Delivery("limited", 1, answer.code, answer=answer)
        assert case.states == ["attempting", "limited"]
        assert case.provider.searches == []


async def test_a_refusal_for_good_ends_the_message() -> None:
    case = Case().answering(BLOCKED)
    assert await case.deliver() == Delivery("failed", 1, "10", answer=BLOCKED)
    assert case.states == ["attempting", "failed"]


async def test_a_code_that_nobody_knows_is_tried_once_more() -> None:
    case = Case().answering(UNHEARD_OF, UNHEARD_OF)
    assert (await case.deliver()).outcome == "waiting"
    assert (await case.deliver()).outcome == "failed"


async def test_what_was_not_sent_waits_longer_each_time() -> None:
    case, waits, trace = Case(), [], None
    for _ in range(4):
        delivery = await case.answering(BUSY).deliver(trace)
        assert delivery.outcome == "waiting"
        assert delivery.wait is not None
        waits.append(delivery.wait.seconds)
        trace = delivery.wait.trace
        case.after(delivery.wait.seconds)
    assert waits == [15.0, 60.0, 60.0, 60.0]
    assert trace == Trace(4, NOW, "main")
    assert (await case.answering(ACCEPTED).deliver(trace)).outcome == "accepted"


@pytest.mark.parametrize(
    ("answer", "left", "seconds"), [(BUSY, 16, 15), (BUSY, 15, 5), (BUSY, 6, 5), (HALTED, 6, 5)]
)
async def test_nothing_waits_beyond_its_expiry(answer: Answer, left: float, seconds: float) -> None:
    delivery = await Case().after(600 - left).answering(answer).deliver()
    assert delivery.wait is not None
    assert delivery.wait.seconds == seconds


@pytest.mark.parametrize("answer", [BUSY, HALTED])
async def test_what_would_expire_while_it_waits_is_expired(answer: Answer) -> None:
    case = Case().after(595).answering(answer)
    assert (await case.deliver()).outcome == "expired"
    assert case.states == ["attempting", "expired"]


async def test_a_halt_keeps_the_message_and_counts_no_attempt() -> None:
    case = Case().answering(HALTED)
    delivery = await case.deliver()
    assert delivery == Delivery("halted", 0, "3", Wait(5.0, Trace(0, NOW, "main")), HALTED)
    assert case.states == ["attempting", "reserved"]
    assert (await case.answering(ACCEPTED).deliver(Trace(0, NOW, "main"))).outcome == "accepted"


@pytest.mark.parametrize("found", [UNKNOWN, NOT_FOUND, FOUND])
async def test_a_call_in_doubt_is_never_repeated_because_no_filter_and_no_record_knows_it(
    found: Found,
) -> None:
    case = Case(message=MESSAGE.model_copy(update={"channel": "voice"})).answering(TIMEOUT)
    await case.deliver()
    assert (await case.after(5).answering(found=found).deliver()).outcome == "in_doubt"
    assert (await case.after(LAG).answering(found=found).deliver()).outcome == "in_doubt"
    assert len(case.provider.sent) == 1


async def test_an_attempt_that_another_one_has_overtaken_ends_nothing() -> None:
    class Overtaken(FakeProvider):
        async def send(self, *arguments: object, **options: object) -> Answer:
            case.ledger.records["m1"].token = "another"
            return SAME_TEXT

    case = Case(Overtaken())
    delivery = await case.deliver()
    assert delivery.outcome == "superseded"
    assert delivery.wait is not None
    assert case.states == ["attempting"]


def test_neither_number_nor_text_nor_code_is_in_the_repr_of_what_is_sent() -> None:
    shown = repr(OUTGOING)
    assert "123456" not in shown
    assert "13800000000" not in shown
