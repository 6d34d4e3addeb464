"""The money spent in a day, and the cap on it, in Redis for all workers.

A price is reserved before a message is sent and settled with the provider's fee afterwards, so that
concurrent workers do not exceed the cap. The reservation of a worker that died stays until the day ends: its
message may have been sent. The day is China's (UTC+8) by the clock of Redis, as in Yunpian's billing.

Without a cap, nothing is reserved and money is only counted, a little later. With a cap and without Redis,
nothing is sent.
"""

import itertools
import secrets
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

import structlog
from redis.asyncio import Redis

from shared.observability.metrics import ProviderMetrics
from shared.redis.retry import retry_until_available
from shared.redis.scripts import RedisScripts

_KEY = "sms:spend"
# Money in Redis is a whole number of this unit, RMB.
_UNIT = Decimal("0.0001")

# The hash: the day, money spent, money reserved, each reservation, each worker's last settlement.
_TODAY = """
local day = math.floor((redis.call('TIME')[1] + 8 * 3600) / 86400)
if tonumber(redis.call('HGET', KEYS[1], 'day') or 0) ~= day then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'day', day, 'spent', 0, 'held', 0)
  redis.call('EXPIRE', KEYS[1], 172800)
end
local function money() return redis.call('HGET', KEYS[1], 'spent') + redis.call('HGET', KEYS[1], 'held') end
"""

# KEYS spend; ARGV reservation, price, cap. Returns {1 if it is reserved, 1 if this cap is reached for the
# first time today}.
_RESERVE = f"""{_TODAY}
local field = 'hold:' .. ARGV[1]
if redis.call('HEXISTS', KEYS[1], field) == 1 then return {{1, 0}} end
if money() + ARGV[2] > tonumber(ARGV[3]) then
  local first = redis.call('HGET', KEYS[1], 'capped') ~= ARGV[3]
  redis.call('HSET', KEYS[1], 'capped', ARGV[3])
  return {{0, first and 1 or 0}}
end
redis.call('HSET', KEYS[1], field, ARGV[2])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
return {{1, 0}}
"""

# KEYS spend; ARGV worker, settlement, money spent, a day, money known to be spent on it, settled
# reservations... Returns {day, money spent, money reserved}. The known money restores what Redis has lost.
_SETTLE = f"""{_TODAY}
local last = 'worker:' .. ARGV[1]
if tonumber(ARGV[4]) == day and redis.call('HGET', KEYS[1], 'spent') + 0 < ARGV[5] + 0 then
  redis.call('HSET', KEYS[1], 'spent', ARGV[5])
end
if redis.call('HGET', KEYS[1], last) ~= ARGV[2] then
  redis.call('HSET', KEYS[1], last, ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'spent', ARGV[3])
  for i = 6, #ARGV do
    local field = 'hold:' .. ARGV[i]
    local held = redis.call('HGET', KEYS[1], field)
    if held then
      redis.call('HINCRBY', KEYS[1], 'held', -held)
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
return {{day, tonumber(redis.call('HGET', KEYS[1], 'spent')), tonumber(redis.call('HGET', KEYS[1], 'held'))}}
"""

log = structlog.get_logger()


class SpendCap:
    """Reserves money and settles what was spent.

    Args:
        redis: shared by all workers.
        cap: RMB a day; 0 for no cap.
        price: expected RMB of one part.
        metrics: counts money.
    """

    def __init__(self, redis: Redis, cap: Decimal, price: Decimal, metrics: ProviderMetrics) -> None:
        self._cap = cap
        self._price = price
        self._metrics = metrics
        self._reserve = RedisScripts(redis).register(_RESERVE)
        self._settle = redis.register_script(_SETTLE)
        self._worker = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._settled: list[tuple[str, Decimal]] = []
        self._batch: list[tuple[str, Decimal]] = []
        self._known = (0, 0)
        self._needed = price
        self.reached = False
        metrics.spend_cap.set(float(cap))

    @property
    def reason(self) -> str:
        """Why nothing may be spent; empty if it may."""
        return f"the daily spend cap of {self._cap} RMB is reached" if self.reached else ""

    async def reserve(self, parts: int) -> str | None:
        """Reserve the price of a message.

        Waits until Redis is available.

        Returns:
            The reservation, or None if the cap does not allow it.
        """
        reservation = f"{self._worker}.{next(self._numbers)}"
        if not self._cap:
            return reservation
        self._needed = parts * self._price
        reserved, first = await self._try_reserve(reservation, self._needed)
        if reserved:
            return reservation
        self.reached = True
        self._metrics.spend_capped.inc()
        if first:
            log.error("spend_cap_reached", cap_rmb=str(self._cap))
        return None

    def settle(self, reservation: str, account: str, fee: Decimal) -> None:
        """Replace a reservation by the money spent, RMB; `flush` writes it."""
        self._metrics.spend.labels(account).inc(float(fee))
        self._settled.append((reservation, fee))

    async def flush(self) -> None:
        """Write what has been settled, and update whether the cap is reached.

        Raises:
            shared.redis.client.REDIS_FAILURES: Redis is unavailable; the next flush writes it.
        """
        if not self._batch:
            self._batch, self._settled = self._settled, []
        spent, held = await self._write(self._batch)
        self._batch = []
        money = (spent + held) * _UNIT
        self._metrics.spend_today.set(float(money))
        self.reached = bool(self._cap) and money + self._needed > self._cap

    async def _write(self, batch: Sequence[tuple[str, Decimal]]) -> tuple[int, int]:
        fees = sum((fee for _, fee in batch), Decimal(0))
        holds = [reservation for reservation, _ in batch] if self._cap else []
        name = batch[0][0] if batch else ""  # the same batch, written again, is not counted again
        day, spent, held = await self._settle(
            [_KEY], [self._worker, name, _units(fees), *self._known, *holds]
        )
        self._known = (day, spent)
        return spent, held

    @retry_until_available
    async def _try_reserve(self, reservation: str, price: Decimal) -> tuple[int, int]:
        reserved, first = await self._reserve([_KEY], [reservation, _units(price), _units(self._cap)])
        return reserved, first


def _units(money: Decimal) -> int:
    return int((money / _UNIT).to_integral_value(ROUND_CEILING))
