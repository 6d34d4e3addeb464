"""The messages without an end, as the ledger's index has them."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis.asyncio import Redis

from shared.contracts.message_status import OPEN_MESSAGES, RECORD_LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages are open, and the age of the oldest; 0 where there is none."""

    count: int
    oldest_seconds: float


class OpenMessages:
    """Reads the index; methods raise `shared.redis.client.REDIS_FAILURES`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def backlog(self, now: datetime) -> Backlog:
        """Return what is open at `now`; what is older than a record lives has been lost on the way."""
        moment = now.timestamp()
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zremrangebyscore(OPEN_MESSAGES, "-inf", moment - RECORD_LIFETIME_SECONDS)
            pipeline.zcard(OPEN_MESSAGES)
            pipeline.zrange(OPEN_MESSAGES, 0, 0, withscores=True)
            reply = await cast("Awaitable[tuple[int, int, list[tuple[bytes, float]]]]", pipeline.execute())
        _, count, oldest = reply
        return Backlog(count, max(0.0, moment - oldest[0][1]) if oldest else 0.0)
