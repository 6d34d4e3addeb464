"""The state of each send-code message: created by auth, updated by the worker.

It is stored in one Redis hash per message, the worker's ledger (`services/sms/delivery/repository.py`). Auth
writes the first state and reads the state that clients see.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from redis.asyncio import Redis

from shared.redis.scripts import RedisScripts

State = Literal["queued", "sent", "delivered", "failed", "expired", "limited"]

RECORD_LIFETIME_SECONDS = 24 * 3600
# The records in a state that is not final, by creation time: gives the age of the oldest.
OPEN_MESSAGES = "sms:open"

# States of the ledger that clients see as another state.
_CLIENT_STATES: dict[str, State] = {"reserved": "queued", "attempting": "queued", "accepted": "sent"}

# KEYS record, open messages; ARGV state, its time, the same as Unix time, the record's TTL in seconds.
_PUT = """
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'updated_at', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], 'NX', ARGV[3], KEYS[1])
"""

# KEYS record, open messages; ARGV now. The worker may have received the message although the broker did
# not confirm it: a message that is being sent keeps its state.
_ABANDON = """
if redis.call('HGET', KEYS[1], 'state') == 'queued' then
  redis.call('HSET', KEYS[1], 'state', 'failed', 'detail', 'not queued', 'updated_at', ARGV[1])
  redis.call('ZREM', KEYS[2], KEYS[1])
end
"""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """The state of a message and the time of its last change (UTC)."""

    state: State
    updated_at: datetime


class MessageStatuses:
    """Auth's access to the records, which are kept for a day.

    Every method raises one of `shared.redis.client.REDIS_FAILURES` if Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        scripts = RedisScripts(redis)
        self._put = scripts.register(_PUT)
        self._abandon = scripts.register(_ABANDON)

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Store the first state of a message."""
        at = status.updated_at
        arguments: list[str | float] = [status.state, at.isoformat(), at.timestamp(), RECORD_LIFETIME_SECONDS]
        await self._put([record_key(message_id), OPEN_MESSAGES], arguments)

    async def abandon(self, message_id: str, at: datetime) -> None:
        """Mark a message that the broker did not confirm as failed, unless the worker is sending it."""
        await self._abandon([record_key(message_id), OPEN_MESSAGES], [at.isoformat()])

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return the state of a message, or None if the id is unknown."""
        reply = self._redis.hmget(record_key(message_id), ["state", "updated_at"])
        state, updated_at = await cast("Awaitable[list[bytes | None]]", reply)
        if state is None or updated_at is None:
            return None
        return MessageStatus(client_state(state.decode()), datetime.fromisoformat(updated_at.decode()))


def client_state(state: str) -> State:
    """Return the state that clients see for a state of the ledger."""
    return _CLIENT_STATES.get(state, cast("State", state))


def record_key(message_id: str) -> str:
    """Return the Redis key of a message's record."""
    return f"sms:message:{message_id}"
