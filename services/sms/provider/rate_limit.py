"""The rate limit that all workers share, in Redis: more workers do not send faster.

While Redis is unavailable no slot is granted: what cannot be counted is not sent.
"""

import asyncio
import time
from collections import deque

from redis.asyncio import Redis

from shared.observability.metrics import ProviderMetrics
from shared.redis.retry import retry_until_available
from shared.tasks import contain

_KEY = "sms:budget"
_MICROSECONDS = 1_000_000
# One part in this many of the rate is kept for catching up: workers come a little late for their slots.
_BURST_SHARE = 20

# The generic cell rate algorithm: KEYS when the next slot is due; ARGV µs between slots, µs of burst,
# slots wanted. Returns how many slots were taken, or the negative of the µs until the next one.
# Run again, it takes others.
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


class RateLimiter:
    """Grants slots to the calls of all workers, in any second no more than the rate.

    A slot is taken when it is used, never ahead, so that a worker that was stalled does not send a burst
    afterwards. Each worker asks for the slots of all its waiting calls at once, and grants them in the order
    of arrival.

    Args:
        redis: shared by all workers.
        per_second: slots per second.
        metrics: measures the waiting.
    """

    def __init__(self, redis: Redis, per_second: int, metrics: ProviderMetrics) -> None:
        spare = per_second // _BURST_SHARE
        self._interval = _MICROSECONDS / (per_second - spare)
        self._burst = self._interval * spare
        self._metrics = metrics
        self._take = redis.register_script(_TAKE)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._granting: asyncio.Task[None] | None = None

    async def acquire(self, timeout: float) -> bool:  # noqa: ASYNC109 - it is measured either way
        """Wait for a slot; return False if none is free within the timeout, in seconds."""
        started = time.monotonic()
        slot = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        if self._granting is None or self._granting.done():
            self._granting = asyncio.create_task(contain("rate_limit", self._grant))
        try:
            async with asyncio.timeout(timeout):
                await slot
        except TimeoutError:
            self._metrics.rate_limit_timeouts.inc()
            return False
        finally:
            self._metrics.rate_limit_seconds.observe(time.monotonic() - started)
        return True

    async def _grant(self) -> None:
        """Grant slots until no call waits."""
        while self._drop_cancelled():
            taken = await self._take_slots(len(self._waiting))
            for _ in range(taken):
                if self._drop_cancelled():
                    self._waiting.popleft().set_result(None)
            if taken < 0:
                await asyncio.sleep(-taken / _MICROSECONDS)

    def _drop_cancelled(self) -> bool:
        """Remove cancelled calls from the head of the queue; return whether any call waits."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        return bool(self._waiting)

    @retry_until_available
    async def _take_slots(self, wanted: int) -> int:
        return int(await self._take([_KEY], [round(self._interval), round(self._burst), wanted]))
