"""Ends of sessions, announced beside the database, so that gateways hear of them while it hangs."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping

import structlog
from redis.asyncio import Redis

from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES
from shared.redis.scripts import RedisScripts
from shared.tasks import contain

_KEY = "sessions:ended"
# Gateways ask twice a second and keep what they have heard, so that this is plenty.
_KEPT_SECONDS = 120
_MAX_KEPT = 10_000
# A gateway waits for a second, part of which was spent on the database.
_REDIS_SECONDS = 0.1

# Sessions by the time of their end; their last tokens' expiry is part of the member.
#
# KEYS list; ARGV ms to keep an entry, then the entries
_ADD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for place = 2, #ARGV do redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[place]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
# KEYS list. Returns the entries.
_RECENT = "return redis.call('ZRANGE', KEYS[1], 0, -1)"

log = structlog.get_logger()


class EndAnnouncements:
    """The sessions that have ended within the last minutes, in this process and in Redis.

    MySQL is the source of truth, and gateways read it. This is what they hear of while it does not answer:
    every end that was committed and acknowledged before, unless Redis failed at the same time and another
    replica ended the session.

    Args:
        redis: answers as bytes.
        metrics: counts failures of Redis.
    """

    def __init__(self, redis: Redis, metrics: AuthMetrics) -> None:
        registry = RedisScripts(redis)
        self._add = registry.register(_ADD)
        self._recent = registry.register(_RECENT)
        self._metrics = metrics
        self._own: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._adding: set[asyncio.Task[None]] = set()

    def add(self, ended: Mapping[str, int]) -> None:
        """Announce ends that have been committed.

        Args:
            ended: when the last access token of each session expires, in seconds since 1970.
        """
        now = time.monotonic()
        for session_id, expires_at in ended.items():
            self._own[session_id] = (expires_at, now)
        while self._own and (
            len(self._own) > _MAX_KEPT or next(iter(self._own.values()))[1] < now - _KEPT_SECONDS
        ):
            self._own.popitem(last=False)
        # In a task, because the caller has just committed and must not fail or wait for Redis any more.
        adding = asyncio.create_task(contain("end_announcement", self._add_to_redis, ended))
        self._adding.add(adding)
        adding.add_done_callback(self._adding.discard)

    async def recent(self) -> dict[str, int]:
        """Return the ends of the last minutes, without those in Redis if it does not answer at once."""
        ended = {session_id: expires_at for session_id, (expires_at, _) in self._own.items()}
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                entries = await self._recent([_KEY], [])
        except REDIS_FAILURES:
            self._metrics.dependency_failures.labels("redis").inc()
        else:
            for entry in entries:
                session_id, _, expires_at = entry.decode().partition(" ")
                ended[session_id] = int(expires_at)
        return ended

    async def _add_to_redis(self, ended: Mapping[str, int]) -> None:
        entries = [f"{session_id} {expires_at}" for session_id, expires_at in ended.items()]
        try:
            await self._add([_KEY], [_KEPT_SECONDS * 1000, *entries])
        except REDIS_FAILURES as error:
            self._metrics.dependency_failures.labels("redis").inc()
            log.warning("end_of_session_not_announced", error=type(error).__name__)
