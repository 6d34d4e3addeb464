"""How often one account is changed, and one session refreshed, before the next request is refused."""

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from services.auth.limits import Limit
from services.auth.models import Caller
from shared.errors import TooManyRequests
from shared.networks import network_of
from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES
from shared.redis.scripts import RedisScripts

_MAX_KEYS = 16_384

log = structlog.get_logger()

# A counter for each window, which begins with its first change. Run twice, because the answer to the first
# run was lost, it counts a change twice.
#
# KEYS  a counter for each limit
# ARGV  amount and window ms of each limit
# Returns {0, 0} if the change is counted, else {ms to wait, place of the limit}.
_CHARGE = """
local longest, at = 0, 0
for place, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[2 * place - 1]) then
    local left = redis.call('PTTL', key)
    if left > longest then longest, at = left, place end
  end
end
if longest > 0 then return {longest, at} end
for place, key in ipairs(KEYS) do
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, ARGV[2 * place]) end
end
return {0, 0}
"""


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """The rates of changes.

    Attributes:
        session: by one session, less than by its account, so that a thief of one session leaves the owner
            room to end it from another one.
        account: by all sessions of an account.
    """

    session: Sequence[Limit]
    account: Sequence[Limit]


class LocalCounters:
    """Counters like those in Redis, of this process alone; the least recently used ones are dropped."""

    def __init__(self) -> None:
        self._counters: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def charge(self, keys: Sequence[str], limits: Sequence[Limit]) -> tuple[float, int]:
        """Count an event; return 0 and 0, or the ms to wait and the place (from 1) of the used-up limit."""
        now = time.monotonic() * 1000
        current = [self._current(key, limit, now) for key, limit in zip(keys, limits, strict=True)]
        used_up = [
            (ends_at - now, place)
            for place, ((ends_at, count), limit) in enumerate(zip(current, limits, strict=True), 1)
            if count >= limit.amount
        ]
        if used_up:
            return max(used_up)
        for key, (ends_at, count) in zip(keys, current, strict=True):
            self._counters[key] = (ends_at, count + 1)
            self._counters.move_to_end(key)
        while len(self._counters) > _MAX_KEYS:
            self._counters.popitem(last=False)
        return 0, 0

    def _current(self, key: str, limit: Limit, now: float) -> tuple[float, int]:
        ends_at, count = self._counters.get(key, (0.0, 0))
        return (ends_at, count) if ends_at > now else (now + limit.window_ms, 0)


class ChangeLimiter:
    """Counts the changes of accounts in Redis; while it does not answer, each process counts its own.

    Args:
        redis: answers as bytes.
        limits: the rates.
        metrics: counts what is refused, and what is counted here instead of in Redis.
    """

    def __init__(self, redis: Redis, limits: ChangeLimits, metrics: AuthMetrics) -> None:
        self._script = RedisScripts(redis).register(_CHARGE)
        self._by_session = tuple(limits.session)
        self._limits = (*limits.session, *limits.account)
        self._arguments = [number for limit in self._limits for number in (limit.amount, limit.window_ms)]
        self._local = LocalCounters()
        self._metrics = metrics

    async def charge(self, caller: Caller) -> None:
        """Count a change by a caller.

        Raises:
            TooManyRequests: the session or the account has made too many.
        """
        keys = self._keys(caller)
        try:
            wait, place = await self._script(keys, self._arguments)
        except REDIS_FAILURES as error:
            self._metrics.dependency_failures.labels("redis").inc()
            self._metrics.changes_counted_locally.inc()
            log.warning("changes_counted_locally", error=type(error).__name__)
            wait, place = self._local.charge(keys, self._limits)
        if wait:
            subject = "session" if place <= len(self._by_session) else "account"
            self._metrics.throttled.labels("change", subject).inc()
            raise TooManyRequests(retry_after=math.ceil(wait / 1000))

    def _keys(self, caller: Caller) -> list[str]:
        session, account = f"change:session:{caller.session_id}", f"change:account:{caller.user.id}"
        places = range(len(self._limits))
        return [
            f"{session if place < len(self._by_session) else account}:{self._limits[place].window_ms}"
            for place in places
        ]


class RefreshLimiter:
    """Counts the refreshes of each session from each network, in this process.

    The row of a session allows 16 changes in a reuse interval, whatever the number of processes; this
    limits the work of finding that out. Refreshes need no Redis, and no time for it.

    Args:
        limits: the rates.
        metrics: counts what is refused.
    """

    def __init__(self, limits: Sequence[Limit], metrics: AuthMetrics) -> None:
        self._limits = limits
        self._counters = LocalCounters()
        self._metrics = metrics

    def charge(self, session_id: str, address: str) -> None:
        """Count a refresh; by network, so that strangers who know the id do not use up the owner's.

        Raises:
            TooManyRequests: there were too many.
        """
        subject = f"{session_id} {network_of(address)}"
        wait, _ = self._counters.charge(
            [f"{subject} {limit.window_ms}" for limit in self._limits], self._limits
        )
        if wait:
            self._metrics.throttled.labels("refresh", "session").inc()
            raise TooManyRequests(retry_after=math.ceil(wait / 1000))
