"""The dead queue in an operator's hands: what could not be read or sent, to look at, send again or drop."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.amqp.topology import DEAD_QUEUE
from shared.contracts.messages import SendCode, UnreadableMessage, decode_send_code
from shared.phone import mask_mobile
from shared.security.sealing import Sealer

_POLL_SECONDS = 0.05
_PUT_BACK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the dead queue.

    Attributes:
        key: its id, or one made of its body where it has none.
        reason: why it is there.
        message: what it asks for; None where it cannot be read.
        incoming: the message as the broker gave it.
    """

    key: str
    reason: str
    message: SendCode | None
    incoming: AbstractIncomingMessage

    def expired(self, now: datetime) -> bool:
        """Tell whether its code is dead by now."""
        return self.message is not None and self.message.expires_at <= now

    @property
    def died_at(self) -> datetime | None:
        """When it came here, where that is known."""
        deaths: Any = self.incoming.headers.get("x-death")
        if isinstance(deaths, list) and deaths:  # the broker put it here
            died: datetime | None = deaths[0].get("time")
            return died
        try:
            return datetime.fromisoformat(str(self.incoming.headers.get("died_at")))
        except ValueError:
            return None

    def summary(self) -> dict[str, Any]:
        """Return what an operator may know of it: neither the code nor the whole number."""
        message = self.message
        return {
            "id": self.key,
            "reason": self.reason,
            "code": self.incoming.headers.get("code"),
            "mobile": mask_mobile(message.mobile) if message else None,
            "purpose": message.purpose if message else None,
            "channel": message.channel if message else None,
            "created_at": _moment(message.created_at) if message else None,
            "expires_at": _moment(message.expires_at) if message else None,
            "died_at": _moment(self.died_at),
            "attempts": self.incoming.headers.get("attempts", 0),
        }

    def details(self) -> dict[str, Any]:
        """Return all that an operator may know of it."""
        return self.summary() | {
            "type": self.incoming.type,
            "request_id": self.incoming.headers.get("request_id"),
            "from": self.incoming.app_id,
            "bytes": len(self.incoming.body),
        }


@asynccontextmanager
async def held_letters(
    channel: AbstractChannel, sealer: Sealer, *, most: int | None = None
) -> AsyncIterator[list[DeadLetter]]:
    """Hold the dead letters, oldest first, for the block's time.

    They are hidden from others meanwhile; those that the block does not acknowledge go back, in their
    order, and so they do where it is interrupted. The queue counts that as a delivery, and has no limit
    for those.
    """
    queue = await channel.declare_queue(DEAD_QUEUE, passive=True)
    there = queue.declaration_result.message_count or 0
    letters: list[DeadLetter] = []
    while len(letters) < (there if most is None else min(most, there)):
        incoming = await queue.get(fail=False)
        if incoming is None:
            break
        letters.append(_letter(incoming, sealer))
    try:
        yield letters
    finally:
        await _put_back(channel, [letter for letter in letters if not letter.incoming.processed])


async def _put_back(channel: AbstractChannel, letters: list[DeadLetter]) -> None:
    """Return once the letters can be seen again: whoever looks next would find none of them."""
    for letter in letters:
        await letter.incoming.nack(requeue=True)
    async with asyncio.timeout(_PUT_BACK_SECONDS):
        while True:
            queue = await channel.declare_queue(DEAD_QUEUE, passive=True)
            if (queue.declaration_result.message_count or 0) >= len(letters):
                return
            await asyncio.sleep(_POLL_SECONDS)


def _letter(incoming: AbstractIncomingMessage, sealer: Sealer) -> DeadLetter:
    message, unreadable = None, ""
    try:
        message = decode_send_code(incoming.type, incoming.body, sealer)
    except UnreadableMessage as error:
        unreadable = error.reason
    return DeadLetter(
        key=incoming.message_id or f"body-{hashlib.sha256(incoming.body).hexdigest()[:12]}",
        reason=str(incoming.headers.get("reason") or unreadable or _broker_reason(incoming)),
        message=message,
        incoming=incoming,
    )


def _broker_reason(incoming: AbstractIncomingMessage) -> str:
    return str(incoming.headers.get("x-first-death-reason") or "unknown")


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None
