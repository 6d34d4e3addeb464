"""Delivering one message: skip what is done or expired, call the provider, record the outcome."""

from collections.abc import Callable
from dataclasses import dataclass

from services.sms.ports import Answer, Clock, Filtered, Ledger, Outgoing, Provider, Verdict
from shared.message_status import FINAL, MessageStatus, State
from shared.messages import SendCode

_OUTCOMES: dict[Verdict, State] = {
    Verdict.ACCEPTED: "sent",
    Verdict.LIMITED: "limited",
    Verdict.PERMANENT: "failed",
    Verdict.RETRY: "failed",
    Verdict.HALTED: "failed",
    Verdict.AMBIGUOUS: "failed",
}
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message.

    Attributes:
        outcome: the recorded state, or `duplicate` where an earlier delivery had ended already.
        attempts: how often the provider has been called.
        detail: the provider's message number, or its code or what happened.
    """

    outcome: str
    attempts: int
    detail: str = ""


async def deliver(
    message: SendCode,
    *,
    provider: Provider,
    ledger: Ledger,
    compose: Callable[[SendCode], str],
    clock: Clock,
) -> Delivery:
    """Send a message unless it is done or expired, and return what became of it.

    The attempt is recorded before the provider is called: a message that comes again with an
    attempt on record may have been accepted just before its worker died. It is then sent again with
    the same text, and the provider's filter of repeated texts tells whether it had been.
    """
    known = await ledger.get(message.message_id)
    attempts = known.attempts if known is not None else 0
    if known is not None and known.state in FINAL:
        return Delivery(DUPLICATE, attempts)
    if clock() >= message.expires_at:
        await ledger.put(message.message_id, MessageStatus("expired", clock(), attempts))
        return Delivery("expired", attempts)
    await ledger.put(message.message_id, MessageStatus("attempting", clock(), attempts + 1))
    answer = await provider.send(_outgoing(message, compose(message)), _announced_already)
    outcome = _outcome(answer, in_doubt=attempts > 0)
    detail = answer.sid or answer.code
    await ledger.put(message.message_id, MessageStatus(outcome, clock(), attempts + 1, detail))
    return Delivery(outcome, attempts + 1, detail)


async def _announced_already(_account: str) -> None:
    """The only account needs no announcement."""


def _outgoing(message: SendCode, text: str) -> Outgoing:
    return Outgoing(
        message.message_id, message.mobile, text, message.code, message.channel, message.expires_at
    )


def _outcome(answer: Answer, *, in_doubt: bool) -> State:
    if in_doubt and answer.filtered is not Filtered.NO:
        return "sent"
    return _OUTCOMES[answer.verdict]


def text_composer(signature: str, template: str) -> Callable[[SendCode], str]:
    """Return what makes a message's text; the same message always gets the same text."""

    def compose(message: SendCode) -> str:
        return f"【{signature}】{template.format(code=message.code)}"

    return compose
