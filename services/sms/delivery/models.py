"""What is known of a message: its record in Redis, the history in its headers, the result of a delivery.

    reserved → attempting → accepted → delivered | failed

The other final states are limited, expired and failed. `reserved` is a message between two attempts.
A record that stays `attempting` has an attempt of unknown outcome: the provider may have accepted it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from services.sms.provider.base import Answer, Outgoing
from services.sms.reports.models import StatusReport
from shared.contracts.messages import SendCode

State = Literal[
    "queued", "reserved", "attempting", "accepted", "delivered", "failed", "expired", "limited"
]  # fmt: skip
UnsentState = Literal["failed", "expired", "limited"]
FINAL_STATES: frozenset[str] = frozenset({"accepted", "delivered", "failed", "expired", "limited"})
SUPERSEDED = "superseded"
"""Returned in place of a state where another attempt has begun since."""

DeliveryStatus = Literal[
    "accepted", "limited", "failed", "expired",  # final
    "duplicate",  # the message was final before
    "waiting", "halted", "in_doubt", "superseded",  # the message is tried again
]  # fmt: skip
Resolution = Literal["filtered", "found", "resent", "unresolved", "same_text"]


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """The attempts that a message's headers tell of; they survive a Redis that has lost the record.

    Attributes:
        attempts: attempts before the message was published.
        since: when the first attempt that may have been accepted began.
        account: the account of that attempt, empty where it is not known.
        resent: whether the message was sent again after the provider had no record of it.
        redelivered: whether a worker held the message before and did not acknowledge it.
        halted: the accounts that were halted because they refused this very message.
    """

    attempts: int
    since: datetime
    account: str = ""
    resent: bool = False
    redelivered: bool = False
    halted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """An attempt that the provider may have accepted; `account` is empty where it is not known."""

    since: datetime
    account: str


@dataclass(frozen=True, slots=True)
class Record:
    """A message's record as an attempt finds it.

    Attributes:
        state: the state on record, or None without a record.
        attempts: attempts so far, including the one just granted.
        granted: whether the caller may call the provider now.
        unknown: the attempt of unknown outcome, if any.
        resent: whether the message was sent again after the provider had no record of it.
    """

    state: State | None
    attempts: int
    granted: bool
    unknown: UnknownOutcome | None
    resent: bool


class Claim(StrEnum):
    """What a worker asks of a record."""

    READ = "read"
    """Change nothing."""
    FIRST = "first"
    """Send, unless the outcome of an earlier attempt is unknown."""
    RETRY = "retry"
    """Send although it is unknown: the provider's duplicate filter catches a second text."""
    RESEND = "resend"
    """Send although it was unknown: the provider has no record of the message."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the provider.

    Attributes:
        token: unique to the attempt; only its owner changes the record.
        started_at: when it began.
        account: the account to be called.
        dial_code: the country code of the number, for a report that comes although the answer was lost.
        prefix: the first three digits of a mainland number, for the same.
        text_key: the key of the text to the number, by which another message with the same text finds this
            one; empty if it is not to be found.
    """

    token: str
    started_at: datetime
    account: str
    dial_code: str = ""
    prefix: str = ""
    text_key: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt that was not accepted, as it is recorded.

    Attributes:
        state: the message's new state.
        attempts: attempts so far.
        detail: the provider's code, or what happened; never content.
        unknown: the attempt of unknown outcome, if any.
    """

    state: State
    attempts: int
    detail: str = ""
    unknown: UnknownOutcome | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A message that the provider has accepted.

    Attributes:
        account: the account that accepted it.
        sid: the provider's id of the message, empty where it is not known.
        accepted_at: when.
        attempts: attempts so far.
        parts: billed parts.
        fee: RMB.
        dial_code: the country code of the number, such as `86`.
        prefix: the first three digits of a mainland number, else empty.
        text_key: as of the attempt.
    """

    account: str
    sid: str
    accepted_at: datetime
    attempts: int
    parts: int
    fee: Decimal
    dial_code: str
    prefix: str
    text_key: str = ""


@dataclass(frozen=True, slots=True)
class SentText:
    """The same text to the same number, sent by another message.

    Attributes:
        account: the account that was called.
        sid: the provider's id of it, empty where it is not known.
        accepted: whether it was accepted; otherwise it may have been.
    """

    account: str
    sid: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class AcceptanceResult:
    """What recording an acceptance changed.

    Attributes:
        effect: `accepted`; `known` where it was on record; `twice` where the provider had accepted the
            message before under another sid, so that a second text was sent.
        early_report: the status report that came before the acceptance and is applied by it, if any.
    """

    effect: Literal["accepted", "known", "twice"]
    early_report: StatusReport | None = None


@dataclass(frozen=True, slots=True)
class OpenMessages:
    """How many messages have no final state, and the age of the oldest, 0 for none."""

    count: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a message waits for its next attempt, and the history that it takes along."""

    delay: float
    history: AttemptHistory


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a message.

    Attributes:
        status: the message's status after the delivery.
        attempts: calls of the provider so far.
        detail: the provider's message id, or its code, or what happened.
        retry: the next attempt, if there is one.
        answer: the provider's answer, where it was called.
        resolution: how the unknown outcome of an earlier attempt was resolved, where there was one.
        sent_twice: whether the provider has accepted the message twice.
    """

    status: DeliveryStatus
    attempts: int
    detail: str = ""
    retry: Retry | None = None
    answer: Answer | None = None
    resolution: Resolution | None = None
    sent_twice: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A message in work.

    Attributes:
        message: the message itself.
        outgoing: the message as it is passed to the provider.
        history: the attempts that its headers tell of.
        attempt: the attempt of this worker.
        granted: whether the provider may be called.
        attempts: attempts so far, this one included.
        resent: whether the message was sent again after the provider had no record of it.
        unknown: an earlier or this attempt, where its outcome is unknown.
        answer: the provider's answer to this attempt.
        resolution: how the unknown outcome of an earlier attempt was resolved.
    """

    message: SendCode
    outgoing: Outgoing
    history: AttemptHistory
    attempt: Attempt
    granted: bool
    attempts: int
    resent: bool
    unknown: UnknownOutcome | None
    answer: Answer | None = None
    resolution: Resolution | None = None


def to_outgoing(message: SendCode, text: str, halted: frozenset[str] = frozenset()) -> Outgoing:
    """Return a message as it is passed to the provider."""
    return Outgoing(
        message_id=message.message_id,
        mobile=message.mobile,
        text=text,
        code=message.code,
        channel=message.channel,
        expires_at=message.expires_at,
        halted=halted,
    )
