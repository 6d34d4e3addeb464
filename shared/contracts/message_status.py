"""Where each send-code message stands, as a client sees it: begun by auth, carried on by the worker.

It is one Redis hash per message, the worker's ledger (`services/sms/delivery/repository.py`). Auth writes its
first state and reads what a client may know of it.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from redis.asyncio import Redis

from shared.redis.scripts import RedisScripts

State = Literal["queued", "sent", "delivered", "failed", "expired", "limited"]

RECORD_LIFETIME_SECONDS = 24 * 3600
# The records without an end, by when they began: what tells how long the oldest has been waiting.
OPEN_MESSAGES = "sms:open"

# The ledger's finer states that a client sees as another one.
_AS_A_CLIENT_SEES: dict[str, State] = {"reserved": "queued", "attempting": "queued", "accepted": "sent"}

# KEYS record, open messages; ARGV state, its time, the same as a Unix time, seconds that the record lives.
_PUT = """
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'updated_at', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], 'NX', ARGV[3], KEYS[1])
"""

# KEYS record, open messages; ARGV now. The worker may have got the message although nobody confirmed it:
# what it has begun to send is not taken back.
_ABANDON = """
if redis.call('HGET', KEYS[1], 'state') == 'queued' then
  redis.call('HSET', KEYS[1], 'state', 'failed', 'detail', 'not queued', 'updated_at', ARGV[1])
  redis.call('ZREM', KEYS[2], KEYS[1])
end
"""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """How far a message got, and when (UTC)."""

    state: State
    updated_at: datetime


class MessageStatuses:
    """Auth's view of the records, which are kept for a day.

    Every method raises one of `shared.redis.client.REDIS_FAILURES` where Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        scripts = RedisScripts(redis)
        self._put = scripts.register(_PUT)
        self._abandon = scripts.register(_ABANDON)

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write the first state of a message."""
        at = status.updated_at
        arguments: list[str | float] = [status.state, at.isoformat(), at.timestamp(), RECORD_LIFETIME_SECONDS]
        await self._put([record_key(message_id), OPEN_MESSAGES], arguments)

    async def abandon(self, message_id: str, at: datetime) -> None:
        """Fail a message that the broker did not confirm, unless the worker has begun with it."""
        await self._abandon([record_key(message_id), OPEN_MESSAGES], [at.isoformat()])

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return the state of a message, or None where the id is unknown."""
        reply = self._redis.hmget(record_key(message_id), ["state", "updated_at"])
        state, updated_at = await cast("Awaitable[list[bytes | None]]", reply)
        if state is None or updated_at is None:
            return None
        return MessageStatus(client_state(state.decode()), datetime.fromisoformat(updated_at.decode()))


def client_state(state: str) -> State:
    """Return what a client sees of a record's state."""
    return _AS_A_CLIENT_SEES.get(state, cast("State", state))


def record_key(message_id: str) -> str:
    """Return the name of a message's record in Redis."""
    return f"sms:message:{message_id}"
