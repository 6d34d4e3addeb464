"""Where each send-code message stands, in Redis: written by auth and the worker, shown to clients."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from redis.asyncio import Redis

# `attempting` is the worker's own: a client sees it as queued.
State = Literal["queued", "attempting", "sent", "delivered", "failed", "expired", "limited"]
FINAL: frozenset[State] = frozenset({"sent", "delivered", "failed", "expired", "limited"})

_LIFETIME_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """One message's state.

    Attributes:
        state: how far it got.
        updated_at: when it got there, UTC.
        attempts: how often the provider was called.
        detail: the provider's message number, or its code and why, never content.
    """

    state: State
    updated_at: datetime
    attempts: int = 0
    detail: str = ""


class MessageStatuses:
    """The record of each message by its id, kept for a day.

    Every method raises one of `shared.redis_client.REDIS_FAILURES` where Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write the state of a message, replacing an earlier one."""
        fields = {
            "state": status.state,
            "updated_at": status.updated_at.isoformat(),
            "attempts": status.attempts,
            "detail": status.detail,
        }
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(_key(message_id), mapping=cast("dict[Any, Any]", fields))
            pipeline.expire(_key(message_id), _LIFETIME_SECONDS)
            await pipeline.execute()

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return the state of a message, or None where the id is unknown."""
        reply = self._redis.hgetall(_key(message_id))
        fields = {
            name.decode(): value.decode()
            for name, value in (await cast("Awaitable[dict[bytes, bytes]]", reply)).items()
        }
        if not fields:
            return None
        return MessageStatus(
            cast("State", fields["state"]),
            datetime.fromisoformat(fields["updated_at"]),
            int(fields["attempts"]),
            fields["detail"],
        )


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def _key(message_id: str) -> str:
    return f"sms:message:{message_id}"
