"""The sends per second that all workers share, in Redis: more workers do not send faster.

Without Redis nobody gets a slot: what cannot be counted is not sent.
"""

import asyncio
import time
from collections import deque
from typing import Protocol

from redis.asyncio import Redis

from services.sms.delivery.patience import until_redis_answers
from shared.observability.metrics import ProviderMetrics

_KEY = "sms:budget"
_MICROSECONDS = 1_000_000
# This part of the rate is held back for catching up: workers come a little late for their slots.
_REST = 20

# The generic cell rate algorithm: KEYS when the next slot is due; ARGV µs between slots, µs of burst,
# slots wanted. Returns how many the caller has taken, or less than 0: minus the µs until there is one.
# Repeated, it takes others.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
if due > now + interval + burst then due = now end  -- the clock was put back
if due - burst > now then return now + burst - due end
local taken = 0
while taken < wanted and due - burst <= now do
  due = math.max(due, now) + interval
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', 60000)
  taken = taken + 1
end
return taken
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
    afterwards in one go. Each worker asks for all its calls that wait, and serves them in the order in
    which they came.

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
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._serving: asyncio.Task[None] | None = None

    async def take(self, seconds: float) -> bool:
        """Wait for a slot, `seconds` at most; tells whether there was one in time."""
        started = time.monotonic()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            self._metrics.budget_missed.inc()
            return False
        finally:
            self._metrics.budget_seconds.observe(time.monotonic() - started)
        return True

    async def _serve(self) -> None:
        """Take slots as long as anybody waits for one."""
        while self._forget_those_who_left():
            answer = await self._ask(len(self._waiting))
            for _ in range(answer):
                if self._forget_those_who_left():
                    self._waiting.popleft().set_result(None)
            if answer < 0:
                await asyncio.sleep(-answer / _MICROSECONDS)

    def _forget_those_who_left(self) -> bool:
        """Tell whether the first in the queue still waits; those before it were cancelled."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        return bool(self._waiting)

    @until_redis_answers
    async def _ask(self, wanted: int) -> int:
        return int(await self._take([_KEY], [round(self._interval), round(self._burst), wanted]))
