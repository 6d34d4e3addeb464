"""The use case of the SMS worker: every rule of what happens to a message."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.sms.delivery import Courier, text_composer
from services.sms.doubts import DoubtPolicy, Doubts
from services.sms.ladder import Ladder
from services.sms.outcomes import Delivery, Wait
from services.sms.ports import NOT_FOUND, UNKNOWN, Answer, Filtered, Found, Outgoing, Search, Verdict
from services.sms.records import Doubt, Trace
from shared.messages import SendCode
from tests.fakes import NOW, FakeLedger, FakeProvider, FakeRecord
from tests.ledger_rules import acceptance

WINDOW, LAG = 20, 60
MESSAGE = SendCode(
    message_id="m1",
    mobile="13800000000",
    code="123456",
    purpose="register",
    created_at=NOW,
    expires_at=NOW + timedelta(seconds=600),
)
TEXT = "【Dialpass】Your code is 123456."
OUTGOING = Outgoing("m1", "13800000000", TEXT, "123456", "sms", MESSAGE.expires_at)
ACCEPTED = Answer(Verdict.ACCEPTED, "0", "main", "7", 1)
SAME_TEXT = Answer(Verdict.LIMITED, "8", "main", filtered=Filtered.STRONG)
TOO_OFTEN = Answer(Verdict.LIMITED, "33", "main", filtered=Filtered.WEAK)
TIMEOUT = Answer(Verdict.AMBIGUOUS, "timeout", "main")
BUSY = Answer(Verdict.RETRY, "-51", "main")
UNHEARD_OF = Answer(Verdict.RETRY, "4711", "main", once=True)
BLOCKED = Answer(Verdict.PERMANENT, "10", "main")
HALTED = Answer(Verdict.HALTED, "3", "main")
FOUND = Found(Search.FOUND, "7")


@dataclass
class Case:
    """A worker with fakes around it, and a clock to be turned."""

    provider: FakeProvider = field(default_factory=FakeProvider)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    message: SendCode = MESSAGE
    now: datetime = NOW

    def after(self, seconds: float) -> "Case":
        self.now += timedelta(seconds=seconds)
        return self

    def answering(self, *answers: Answer, found: Found = UNKNOWN) -> "Case":
        self.provider.answers = list(answers)
        self.provider.found = found
        return self

    async def deliver(self, trace: Trace | None = None) -> Delivery:
        compose = text_composer("Dialpass", "Your code is {code}.")
        courier = Courier(
            provider=self.provider,
            ledger=self.ledger,
            doubts=Doubts(self.provider, compose, DoubtPolicy(WINDOW, LAG), lambda: self.now),
            compose=compose,
            ladder=Ladder((5.0, 15.0, 60.0), max),
            clock=lambda: self.now,
        )
        return await courier.deliver(self.message, trace or Trace(0, NOW))

    @property
    def states(self) -> list[str]:
        return self.ledger.states.get("m1", [])


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


@pytest.mark.parametrize("answer", [SAME_TEXT, TOO_OFTEN])
@pytest.mark.parametrize(("found", "sid"), [(FOUND, "7"), (NOT_FOUND, ""), (UNKNOWN, "")])
async def test_the_filter_tells_that_the_attempt_in_doubt_had_been_accepted(
    answer: Answer, found: Found, sid: str
) -> None:
    case = (await in_doubt()).after(5).answering(answer, found=found)
    delivery = await case.deliver(died())
    assert (delivery.outcome, delivery.detail, delivery.resolution) == ("accepted", sid, "filtered")
    assert case.provider.searches == [("main", "13800000000", TEXT, NOW)]


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


@pytest.mark.parametrize("found", [UNKNOWN, NOT_FOUND, FOUND])
async def test_a_call_in_doubt_is_never_repeated_because_no_filter_and_no_record_knows_it(
    found: Found,
) -> None:
    case = Case(message=MESSAGE.model_copy(update={"channel": "voice"})).answering(TIMEOUT)
    await case.deliver()
    assert (await case.after(5).answering(found=found).deliver()).outcome == "in_doubt"
    assert (await case.after(LAG).answering(found=found).deliver()).outcome == "in_doubt"
    assert len(case.provider.sent) == 1


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


def test_neither_number_nor_text_nor_code_is_in_the_repr_of_what_is_sent() -> None:
    shown = repr(OUTGOING)
    assert "123456" not in shown
    assert "13800000000" not in shown
