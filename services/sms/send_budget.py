"""The sends per second that all workers share, in Redis: more workers do not send faster.

Without Redis nobody gets a slot: what cannot be counted is not sent.
"""

import asyncio
import time
from typing import Protocol

import stamina
from redis.asyncio import Redis

from shared.metrics import ProviderMetrics
from shared.redis_client import REDIS_FAILURES

_KEY = "sms:budget"
_MICROSECONDS = 1_000_000
# This part of the rate is held back for catching up: workers come a little late for their slots.
_REST = 20

# The generic cell rate algorithm: KEYS when the next slot is due; ARGV µs between slots, µs of burst.
# Returns the µs until there is a slot, 0 where the caller has taken it. Repeated, it takes another one.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
if due > now + interval + burst then due = now end  -- the clock was put back
if due - burst > now then return due - burst - now end
redis.call('SET', KEYS[1], string.format('%.0f', math.max(due, now) + interval), 'PX', 60000)
return 0
"""


class SendBudget(Protocol):
    """Says when the next message may be sent."""

    async def take(self, seconds: float) -> bool:
        """Wait for a slot, `seconds` at most; tells whether there was one in time."""


class NoBudget:
    """No limit."""

    async def take(self, seconds: float) -> bool:
        """Give a slot at once."""
        return True


class SharedBudget:
    """Slots for all workers: in any second no more than the rate.

    A slot is taken when it is used, never ahead, so that a worker that stalls does not make up for it
    afterwards in one go. In each worker one call at a time asks, in the order in which they came.

    Args:
        redis: shared by all workers.
        per_second: slots in a second.
        metrics: shows the waiting.
    """

    def __init__(self, redis: Redis, per_second: int, metrics: ProviderMetrics) -> None:
        spare = per_second // _REST
        self._interval = _MICROSECONDS / (per_second - spare)
        self._burst = self._interval * spare
        self._metrics = metrics
        self._take = redis.register_script(_TAKE)
        self._turn = asyncio.Lock()

    async def take(self, seconds: float) -> bool:
        """Wait for a slot, `seconds` at most; tells whether there was one in time."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds), self._turn:
                taken = await self._wait(started + seconds)
        except TimeoutError:
            taken = False
        if not taken:
            self._metrics.budget_missed.inc()
        self._metrics.budget_seconds.observe(time.monotonic() - started)
        return taken

    async def _wait(self, deadline: float) -> bool:
        # Looks at the clock itself: before Python 3.12 a call of Redis may swallow the time-out.
        while wait := await self._ask():
            if time.monotonic() + wait > deadline:
                return False
            await asyncio.sleep(wait)
        return True

    @stamina.retry(on=REDIS_FAILURES, attempts=None, timeout=None, wait_initial=0.1, wait_max=2.0)
    async def _ask(self) -> float:
        wait = await self._take([_KEY], [round(self._interval), round(self._burst)])
        return int(wait) / _MICROSECONDS
