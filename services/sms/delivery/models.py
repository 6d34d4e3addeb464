"""What is known of a message: its record in the ledger, and what travels with the message itself.

reserved → attempting → accepted → delivered | failed
with the other ends: limited, expired, failed. `attempting` without an end is a doubt: the provider
may have accepted that attempt. `reserved` is a message between two attempts.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

State = Literal[
    "queued", "reserved", "attempting", "accepted", "delivered", "failed", "expired", "limited"
]  # fmt: skip
Ending = Literal["failed", "expired", "limited"]
FINAL: frozenset[str] = frozenset({"accepted", "delivered", "failed", "expired", "limited"})


SUPERSEDED = "superseded"
"""Not a state: another attempt has begun since, and this one has no say any more."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a message tells of itself, in its headers; it outlives a Redis that has lost the record.

    Attributes:
        attempts: how often it had been tried when it was published.
        since: when an attempt may first have been accepted.
        account: the account of that attempt, empty where nobody knows.
        resent: whether it has been sent again because the provider did not know it.
        redelivered: whether a worker has had it before and did not say what became of it.
    """

    attempts: int
    since: datetime
    account: str = ""
    resent: bool = False
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt that may have been accepted; `account` is empty where nobody knows it."""

    since: datetime
    account: str


@dataclass(frozen=True, slots=True)
class Record:
    """A message's record as an attempt finds it.

    Attributes:
        state: how far it got; None where there is no record.
        attempts: attempts so far, the one that has just been granted included.
        granted: whether the caller may call the provider now.
        doubt: the attempt in doubt, if there is one.
        resent: whether it has been sent again because the provider did not know it.
    """

    state: State | None
    attempts: int
    granted: bool
    doubt: Doubt | None
    resent: bool


class Claim(StrEnum):
    """What a worker wants to do with a message."""

    LOOK = "look"
    FIRST = "first"
    """Send it, unless it is in doubt."""
    AGAIN = "again"
    """Send it although it is in doubt, trusting the provider's filter of repeated texts."""
    ANEW = "anew"
    """Send it although it was in doubt: the provider does not know it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the provider: a token of its own, its beginning, the account to call."""

    token: str
    at: datetime
    account: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands that has not been accepted, to be written into its record.

    Attributes:
        state: how far it got.
        attempts: how often it has been tried.
        detail: the provider's code, or what happened; never content.
        doubt: the attempt in doubt, if there is one.
    """

    state: State
    attempts: int
    detail: str = ""
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """That a provider has accepted a message.

    Attributes:
        account: which account.
        sid: the provider's number of the message; empty where it is not known.
        at: when.
        attempts: how often it had been tried.
        parts: billed parts.
        fee: RMB.
        dial_code: the country of the number, `86`.
        prefix: the first three digits of a mainland number, else empty.
    """

    account: str
    sid: str
    at: datetime
    attempts: int
    parts: int
    fee: Decimal
    dial_code: str
    prefix: str
