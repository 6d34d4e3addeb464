"""What delivering a message needs of the outside."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from services.sms.delivery.models import Acceptance, Attempt, Claim, Record, Standing, Trace
from shared.contracts.messages import Channel

Announce = Callable[[str], Awaitable[None]]


class Verdict(StrEnum):
    """What a provider's answer means for the message."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    """Certainly not sent; worth another try later."""
    LIMITED = "limited"
    """A limit of the number; not tried again by itself."""
    PERMANENT = "permanent"
    """This message will never pass."""
    HALTED = "halted"
    """Nothing passes now: the message is kept and no attempt is counted."""
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether it was sent."""


class Filtered(StrEnum):
    """Whether the provider's filter of repeated texts answered, and how sure that is."""

    NO = "no"
    STRONG = "strong"
    """The same text to the same number: after an attempt in doubt, that one had been accepted."""
    WEAK = "weak"
    """Too often for the number: after an attempt in doubt, that one had probably been accepted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer.

    Attributes:
        verdict: what it means.
        code: the provider's code as text, or what happened: `timeout`, `reset`, `http 502`.
        account: which configured account answered, or was asked in vain.
        sid: the provider's number of the message, where accepted.
        parts: billed parts.
        fee: the price that the provider names, RMB.
        filtered: whether its filter of repeated texts refused.
        once: whether, to be tried again, it makes sense once at most.
    """

    verdict: Verdict
    code: str
    account: str = ""
    sid: str = ""
    parts: int = 0
    fee: Decimal = Decimal(0)
    filtered: Filtered = Filtered.NO
    once: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as a provider sends it; neither text nor code show in its representation."""

    message_id: str
    mobile: str = field(repr=False)
    text: str = field(repr=False)
    code: str = field(repr=False)
    channel: Channel
    expires_at: datetime


class Search(StrEnum):
    """How looking a message up at the provider ended."""

    FOUND = "found"
    NOT_FOUND = "not found"
    UNKNOWN = "unknown"
    """The provider could not be asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the provider knows of a message; `sid` where it was found."""

    search: Search
    sid: str = ""


NOT_FOUND = Found(Search.NOT_FOUND)
UNKNOWN = Found(Search.UNKNOWN)


class Provider(Protocol):
    """A way to send messages."""

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts, in order of preference; at least one."""

    async def send(self, message: Outgoing, announce: Announce, *, only_account: str | None = None) -> Answer:
        """Send one message, once the shared budget of sends allows it; waits seconds at most for that.

        Every failure is an answer, none is raised.

        Args:
            message: what to send.
            announce: awaited with an account's name before a call to any but the first account or
                `only_account`, so that a death during the call leaves its account on record.
            only_account: after an attempt in doubt, the account that made it: the filter of no
                other one knows that text.
        """

    async def find(self, account: str, mobile: str, text: str, since: datetime) -> Found:
        """Look up whether an account accepted a text for a number at `since` or later."""


class Breaker(Protocol):
    """Tells whether sending makes sense now."""

    @property
    def closed(self) -> bool:
        """Whether messages may be consumed."""

    @property
    def probing(self) -> bool:
        """Whether, though not closed, one message at a time may be tried, to learn if sending works."""

    @property
    def reason(self) -> str:
        """Why not, where they may not."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` run after each change of `closed` or `probing`."""


class Ledger(Protocol):
    """The record of each message. Its methods return once the record is safe, however long it takes."""

    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, trace: Trace) -> Record:
        """Find a message's record and, where the claim holds, begin the attempt in it."""

    async def announce(self, message_id: str, attempt: Attempt, account: str) -> None:
        """Record that an attempt goes on with another account."""

    async def stand(self, message_id: str, standing: Standing, attempt: Attempt | None = None) -> str:
        """Record where a message stands after an attempt, or without one.

        Returns:
            the state that holds afterwards: an end that was on record stays; `superseded` where
            another attempt has begun since.
        """

    async def accept(self, message_id: str, acceptance: Acceptance) -> bool:
        """Record that the provider has accepted a message; False where it is a second text."""
