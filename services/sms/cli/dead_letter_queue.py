"""Reading, replaying and dropping the messages of the dead letter queue."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from services.sms.cli import broker
from services.sms.cli.output import redis_errors
from services.sms.delivery.repository import MessageRepository
from services.sms.messaging.acceptance import check_sealed
from shared.amqp.topology import DEAD_QUEUE
from shared.contracts.messages import SendCode, UnreadableMessage, decode_send_code
from shared.phone import mask_mobile
from shared.security.sealing import Sealer

_POLL_SECONDS = 0.05
_PUT_BACK_SECONDS = 5.0
# The new lifetime of an expired code that is sent all the same.
_RENEWED_LIFETIME = timedelta(minutes=10)
# In these states a text will be sent; in all others one has been.
_SENDABLE = frozenset({"queued", "reserved", "attempting"})


class ReplayResult(StrEnum):
    """What became of a dead letter."""

    QUEUED = "queued"
    EXPIRED = "expired"
    """Left in the queue: its code has expired."""
    UNREADABLE = "unreadable"
    """Left in the queue."""
    SENT_BEFORE = "sent before"
    """Removed: the provider has accepted the message meanwhile."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the dead letter queue.

    Attributes:
        key: its id, or a hash of its body if it has none.
        reason: why it is there.
        message: its content, or None if it is unreadable.
        incoming: the message from the broker.
    """

    key: str
    reason: str
    message: SendCode | None
    incoming: AbstractIncomingMessage

    def expired(self, now: datetime) -> bool:
        """Return whether its code has expired."""
        return self.message is not None and self.message.expires_at <= now

    @property
    def died_at(self) -> datetime | None:
        """When it was dead-lettered, or None if that is not known."""
        deaths: Any = self.incoming.headers.get("x-death")
        if isinstance(deaths, list) and deaths:  # by the broker
            died: datetime | None = deaths[0].get("time")
            return died
        try:
            return datetime.fromisoformat(str(self.incoming.headers.get("died_at")))
        except ValueError:
            return None

    def summary(self) -> dict[str, Any]:
        """Return what an operator may see in a list: neither the code nor the whole number."""
        message = self.message
        return {
            "id": self.key,
            "reason": self.reason,
            "code": self.incoming.headers.get("code"),
            "mobile": mask_mobile(message.mobile) if message else None,
            "purpose": message.purpose if message else None,
            "channel": message.channel if message else None,
            "created_at": _format_time(message.created_at) if message else None,
            "expires_at": _format_time(message.expires_at) if message else None,
            "died_at": _format_time(self.died_at),
            "attempts": self.incoming.headers.get("attempts", 0),
        }

    def details(self) -> dict[str, Any]:
        """Return everything that an operator may see."""
        return self.summary() | {
            "type": self.incoming.type,
            "request_id": self.incoming.headers.get("request_id"),
            "from": self.incoming.app_id,
            "bytes": len(self.incoming.body),
        }


@dataclass(frozen=True, slots=True)
class Replayer:
    """Queues dead letters anew.

    Attributes:
        channel: a channel with publisher confirms.
        sealer: encrypts messages.
        repository: the messages' records.
        include_expired: whether to send expired codes too.
        accept_v1: whether to seal and send messages of version 1.
    """

    channel: AbstractChannel
    sealer: Sealer
    repository: MessageRepository
    include_expired: bool
    accept_v1: bool = False

    async def replay(self, letter: DeadLetter, now: datetime) -> ReplayResult:
        """Queue a held letter's message anew, and remove the letter once the broker has stored the message.

        If it is interrupted in between, both remain. Replayed again, the message is queued twice and sent
        once: its record allows one of them.
        """
        try:
            check_sealed(letter.incoming.type, accept_v1=self.accept_v1)
        except UnreadableMessage:
            return ReplayResult.UNREADABLE
        if letter.message is None:
            return ReplayResult.UNREADABLE
        message = letter.message
        if letter.expired(now):
            if not self.include_expired:
                return ReplayResult.EXPIRED
            message = message.model_copy(update={"expires_at": now + _RENEWED_LIFETIME})
        with redis_errors():
            state = await self.repository.reopen(message.message_id)
        if state in _SENDABLE:
            await broker.publish(self.channel, self.sealer, message)
        await letter.incoming.ack()
        return ReplayResult.QUEUED if state in _SENDABLE else ReplayResult.SENT_BEFORE


@asynccontextmanager
async def hold_letters(
    channel: AbstractChannel, sealer: Sealer, *, limit: int | None = None
) -> AsyncIterator[list[DeadLetter]]:
    """Hold the dead letters, oldest first, within the block.

    Nobody else sees them meanwhile. Those that the block does not acknowledge return to the queue in their
    order, also if it is interrupted. The queue counts that as a delivery, and does not limit deliveries.
    """
    queue = await channel.declare_queue(DEAD_QUEUE, passive=True)
    count = queue.declaration_result.message_count or 0
    letters: list[DeadLetter] = []
    while len(letters) < (count if limit is None else min(limit, count)):
        incoming = await queue.get(fail=False)
        if incoming is None:
            break
        letters.append(_letter(incoming, sealer))
    try:
        yield letters
    finally:
        await _put_back(channel, [letter for letter in letters if not letter.incoming.processed])


async def _put_back(channel: AbstractChannel, letters: list[DeadLetter]) -> None:
    """Return the letters, and wait until they are visible: the next command would not see them before."""
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


def _format_time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None
