"""The use case of the SMS worker."""

from datetime import timedelta

import pytest

from services.sms.delivery import Delivery, deliver, text_composer
from services.sms.ports import Answer, Filtered, Outgoing, Verdict
from shared.message_status import MessageStatus, State
from shared.messages import SendCode
from tests.fakes import NOW, FakeProvider, FakeStatuses, clock

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


async def try_delivering(
    provider: FakeProvider, ledger: FakeStatuses, message: SendCode = MESSAGE
) -> Delivery:
    compose = text_composer("Dialpass", "Your code is {code}.")
    return await deliver(message, provider=provider, ledger=ledger, compose=compose, clock=clock)


async def test_a_message_is_sent_and_its_attempt_recorded_before() -> None:
    provider, ledger = FakeProvider(), FakeStatuses()
    assert await try_delivering(provider, ledger) == Delivery("sent", 1, "1")
    assert provider.sent == [OUTGOING]
    assert ledger.states("m1") == ["attempting", "sent"]


@pytest.mark.parametrize("age", [600, 601, 86_400])
async def test_an_expired_message_is_not_sent(age: int) -> None:
    provider, ledger = FakeProvider(), FakeStatuses()
    expired = MESSAGE.model_copy(update={"expires_at": NOW - timedelta(seconds=age - 600)})
    assert (await try_delivering(provider, ledger, expired)).outcome == "expired"
    assert provider.sent == []
    assert ledger.states("m1") == ["expired"]


@pytest.mark.parametrize("state", ["sent", "delivered", "failed", "expired", "limited"])
async def test_a_message_that_is_done_is_not_sent_again(state: State) -> None:
    provider, ledger = FakeProvider(), FakeStatuses({"m1": [MessageStatus(state, NOW, 1)]})
    assert (await try_delivering(provider, ledger)).outcome == "duplicate"
    assert provider.sent == []


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.ACCEPTED, "sent"),
        (Verdict.LIMITED, "limited"),
        (Verdict.PERMANENT, "failed"),
        (Verdict.RETRY, "failed"),
        (Verdict.HALTED, "failed"),
        (Verdict.AMBIGUOUS, "failed"),
    ],
)
async def test_the_answer_decides_the_outcome(verdict: Verdict, outcome: str) -> None:
    ledger = FakeStatuses()
    assert await try_delivering(FakeProvider([Answer(verdict, "why")]), ledger) == Delivery(outcome, 1, "why")
    assert ledger.states("m1") == ["attempting", outcome]


async def test_an_attempt_in_doubt_is_sent_again_with_the_same_text() -> None:
    provider, ledger = FakeProvider(), FakeStatuses({"m1": [MessageStatus("attempting", NOW, 1)]})
    assert await try_delivering(provider, ledger) == Delivery("sent", 2, "1")
    assert provider.sent == [OUTGOING]


async def test_an_attempt_in_doubt_that_the_filter_refuses_had_been_sent() -> None:
    provider = FakeProvider([Answer(Verdict.LIMITED, "8", filtered=Filtered.STRONG)])
    ledger = FakeStatuses({"m1": [MessageStatus("attempting", NOW, 1)]})
    assert (await try_delivering(provider, ledger)).outcome == "sent"
