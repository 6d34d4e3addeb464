"""What delivering a message comes to, and what the consumer is to do with it."""

from dataclasses import dataclass
from typing import Literal

from services.sms.delivery.models import Trace
from services.sms.provider.base import Answer

Outcome = Literal[
    "accepted", "limited", "failed", "expired",  # its ends
    "duplicate",  # it had ended before
    "waiting", "halted", "in_doubt", "superseded",  # it comes again
]  # fmt: skip
Resolution = Literal["filtered", "found", "resent", "unresolved"]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a message waits, and what it tells of itself when it comes again."""

    seconds: float
    trace: Trace


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message.

    Attributes:
        outcome: what it came to.
        attempts: how often the provider has been called.
        detail: the provider's message number, or its code, or what happened.
        wait: how it comes again, where it does.
        answer: the provider's answer, where it was called.
        resolution: how a doubt about an earlier attempt was settled, where one was.
        second_text: whether the provider has accepted it twice.
    """

    outcome: Outcome
    attempts: int
    detail: str = ""
    wait: Wait | None = None
    answer: Answer | None = None
    resolution: Resolution | None = None
    second_text: bool = False
