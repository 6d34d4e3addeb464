"""The interface of an SMS provider, as the delivery of messages uses it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

from shared.contracts.messages import Channel

OnFailover = Callable[[str], Awaitable[None]]
# Numbers of mainland China, and all others: providers have templates, prices and qualifications for each.
Destination = Literal["home", "foreign"]


class SendStatus(StrEnum):
    """What a provider's answer means for the message."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    """Certainly not sent; a later attempt may succeed."""
    LIMITED = "limited"
    """A limit of the number was reached; not retried."""
    REJECTED = "rejected"
    """This message will never be accepted."""
    DEFERRED = "deferred"
    """Nothing can be sent now: the message is kept and the attempt is not counted."""
    UNKNOWN = "unknown"
    """The provider may or may not have accepted it."""


class DuplicateHint(StrEnum):
    """Whether a refusal tells that the provider has accepted the same text before."""

    NONE = "none"
    CERTAIN = "certain"
    """The same text was sent to the number: an earlier attempt of unknown outcome was accepted."""
    LIKELY = "likely"
    """Too many texts were sent to the number: an earlier attempt was probably accepted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer.

    Attributes:
        status: what it means for the message.
        code: the provider's code as text, or what happened: `timeout`, `reset`, `http 502`.
        account: the account that was called.
        sid: the provider's id of the message, where accepted.
        parts: billed parts.
        fee: the price that the provider names, RMB.
        duplicate_hint: whether a refusal tells of an earlier acceptance.
        of_number: whether a message is rejected because of its number, so that nobody has to act.
        detail: the provider's own words, without numbers and codes.
        halted: the accounts that this message has halted, in earlier calls or in this one.
    """

    status: SendStatus
    code: str
    account: str = ""
    sid: str = ""
    parts: int = 0
    fee: Decimal = Decimal(0)
    duplicate_hint: DuplicateHint = DuplicateHint.NONE
    of_number: bool = field(default=False, compare=False)
    detail: str = field(default="", compare=False)
    halted: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is passed to a provider; its representation shows neither text nor code.

    A notice has a text of its own and no code. `halted` names the accounts that were halted because they
    refused this very message before.
    """

    message_id: str
    mobile: str = field(repr=False)
    text: str = field(repr=False)
    code: str = field(repr=False)
    channel: Channel
    expires_at: datetime
    halted: frozenset[str] = frozenset()

    @property
    def destination(self) -> Destination:
        """Whether the number is a mainland one."""
        return "foreign" if self.mobile.startswith("+") else "home"

    @property
    def is_notice(self) -> bool:
        """Whether it is a notice."""
        return not self.code


class SearchStatus(StrEnum):
    """The result of a search in a provider's records."""

    FOUND = "found"
    NOT_FOUND = "not found"
    """There is no record that could be the message's."""
    UNCLEAR = "unclear"
    """There are records of which one may be the message's."""
    UNAVAILABLE = "unavailable"
    """The records could not be read."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a provider's records say about a message; `sid` where it was found."""

    status: SearchStatus
    sid: str = ""


NOT_FOUND = SearchResult(SearchStatus.NOT_FOUND)
UNCLEAR = SearchResult(SearchStatus.UNCLEAR)
UNAVAILABLE = SearchResult(SearchStatus.UNAVAILABLE)


class Provider(Protocol):
    """Sends messages and finds those it has sent."""

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts, at least one, in order of preference."""

    async def send(
        self, message: Outgoing, on_failover: OnFailover, *, only_account: str | None = None
    ) -> Answer:
        """Send one message once the shared rate limit allows it, which takes seconds at most.

        Never raises: every failure is an answer.

        Args:
            message: what to send.
            on_failover: awaited with an account's name before that account is called, unless it is the
                first one or `only_account`, so that the record names it should the worker die meanwhile.
            only_account: the account of an earlier attempt of unknown outcome: the duplicate filters of
                the others do not know its text.
        """

    async def find(self, account: str, message: Outgoing, since: datetime) -> SearchResult:
        """Search for a text that an account accepted at `since` or later.

        A message is found by its id, which was sent along, or by number and text. A record that may be the
        message's is `UNCLEAR`; none is `NOT_FOUND`.
        """
