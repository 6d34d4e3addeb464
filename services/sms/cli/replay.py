"""Sending dead letters again."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum

from services.sms.cli.dead_queue import DeadLetter
from shared.contracts.messages import SendCode

# What an expired code gets when it is sent in spite of that.
_SECOND_LIFE = timedelta(minutes=10)
# A message in these states has a text to come; in all others it has had one.
_SENDABLE = frozenset({"queued", "reserved", "attempting"})


class Replayed(StrEnum):
    """What became of a dead letter."""

    QUEUED = "queued"
    EXPIRED = "expired"
    """Left where it is: its code is dead."""
    UNREADABLE = "unreadable"
    """Left where it is."""
    SENT_BEFORE = "sent before"
    """Removed: the provider has accepted the message meanwhile."""


async def replay(
    letter: DeadLetter,
    *,
    expired_too: bool,
    now: datetime,
    reopen: Callable[[str], Awaitable[str]],
    publish: Callable[[SendCode], Awaitable[None]],
) -> Replayed:
    """Queue a dead letter's message anew, and remove the letter once the broker has stored that.

    Interrupted in between, letter and message both remain: replayed again, the message is queued twice,
    and the ledger lets it be sent once.

    Args:
        letter: held; what is left where it is goes back when the hold ends.
        expired_too: send a dead code all the same.
        now: the current time, UTC.
        reopen: lets an ended message be sent and returns its state; one that was accepted stays ended.
        publish: returns once the broker has stored the message.
    """
    if letter.message is None:
        return Replayed.UNREADABLE
    message = letter.message
    if letter.expired(now):
        if not expired_too:
            return Replayed.EXPIRED
        message = message.model_copy(update={"expires_at": now + _SECOND_LIFE})
    state = await reopen(message.message_id)
    if state in _SENDABLE:
        await publish(message)
    await letter.incoming.ack()
    return Replayed.QUEUED if state in _SENDABLE else Replayed.SENT_BEFORE
