"""What delivering a message needs of the outside."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.message_status import MessageStatus

Clock = Callable[[], datetime]


class Verdict(StrEnum):
    """What a provider's answer means for the message."""

    ACCEPTED = "accepted"
    LIMITED = "limited"
    """A limit per number or text; the same text may have been accepted before."""
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    """Certainly not sent."""
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether it was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer.

    Attributes:
        verdict: what it means.
        detail: the provider's message number where accepted, else its code or what happened.
    """

    verdict: Verdict
    detail: str


class Provider(Protocol):
    """A way to send text messages."""

    async def send(self, mobile: str, text: str) -> Answer:
        """Send one message; every failure is an answer, none is raised."""


class Ledger(Protocol):
    """The record of each message. Its methods return once the record is safe, however long it takes."""

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return a message's record."""

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write a message's record."""
