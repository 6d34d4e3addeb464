"""Circuit breakers: one for each account's channel, shared by all workers, and one for consumption.

Each channel has a circuit because an account whose voice calls are not enabled can still send texts. The
circuits are in Redis, so that all workers know them and only one worker probes. A worker that opens a circuit
acts at once, the others after their next refresh. While Redis is unavailable each worker keeps to what it
knows, and none sends anyway because the rate limit grants no slots. A successful probe closes a circuit; its
record is kept for a while, so that a circuit that opens again at once is probed less and less often.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from redis.asyncio import Redis

from services.sms.provider.spend_cap import SpendCap
from services.sms.provider.yunpian.error_codes import find_rule
from shared.observability.metrics import ProviderMetrics

UNREACHABLE = "unreachable"
_FIRST_PROBE_MS = 1_000
_MAX_PROBE_MS = 60_000
_OPEN_MS = 3_600_000
_CLOSED_MS = 15_000
# As long as between two probes, so that some worker can always try the next message.
_HALF_OPEN_SECONDS = _MAX_PROBE_MS / 1000

# The wait before the next probe. ARGV first and longest wait in ms.
_WAIT = """
local function wait(tries) return math.min(ARGV[1] * 2 ^ math.min(tries, 16), tonumber(ARGV[2])) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS circuit; ARGV as above, code, token, ms to keep it.
# Returns 1 if this call has opened the circuit, also when it is repeated.
_OPEN = f"""{_WAIT}
if redis.call('HGET', KEYS[1], 'halted') ~= '1' then
  local at = now + wait(tonumber(redis.call('HGET', KEYS[1], 'tries') or 0))
  redis.call('HSET', KEYS[1], 'halted', '1', 'by', ARGV[4], 'probe_at', string.format('%.0f', at))
end
redis.call('HSET', KEYS[1], 'code', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return redis.call('HGET', KEYS[1], 'by') == ARGV[4] and 1 or 0
"""

# KEYS circuit; ARGV as above. Returns 1 if the caller is to probe now.
# Repeated, it returns 0, and the next probe comes later.
_TAKE_PROBE = f"""{_WAIT}
local at = tonumber(redis.call('HGET', KEYS[1], 'probe_at'))
if redis.call('HGET', KEYS[1], 'halted') ~= '1' or not at or at > now then return 0 end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'probe_at', string.format('%.0f', now + wait(tries)))
return 1
"""

# KEYS circuit; ARGV token, ms to keep it. Returns 1 if this call has closed the circuit.
_CLOSE = """
if redis.call('HGET', KEYS[1], 'halted') == '1' then
  redis.call('HSET', KEYS[1], 'halted', '0', 'by', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('HGET', KEYS[1], 'by') == ARGV[1] and 1 or 0
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AccountChannel:
    """One account's channel."""

    account: str
    channel: str

    @property
    def key(self) -> str:
        """The key of its circuit in Redis."""
        return f"sms:halt:{self.account}:{self.channel}"


class AccountCircuits:
    """The circuits of all account channels as this worker knows them, closed, open or half-open.

    Half-open is this worker's own state: it may try one message on an open circuit.

    Args:
        redis: shared by all workers; coroutines raise `shared.redis.client.REDIS_FAILURES`.
        channels: all channels of all accounts.
        metrics: shows the open circuits.
    """

    def __init__(self, redis: Redis, channels: Sequence[AccountChannel], metrics: ProviderMetrics) -> None:
        self.channels = channels
        self._redis = redis
        self._metrics = metrics
        self._codes: dict[AccountChannel, str] = {}
        self._half_open_until: dict[AccountChannel, float] = {}
        self._open = redis.register_script(_OPEN)
        self._take_probe = redis.register_script(_TAKE_PROBE)
        self._close = redis.register_script(_CLOSE)

    def code(self, channel: AccountChannel) -> str:
        """Return why a circuit is open, a provider's code or `unreachable`; empty if it is closed."""
        return self._codes.get(channel, "")

    def is_half_open(self, channel: AccountChannel) -> bool:
        """Return whether this worker may try one message on an open circuit."""
        return self._half_open_until.get(channel, 0.0) > time.monotonic()

    def half_open(self, channel: AccountChannel) -> None:
        """Let this worker try one message on an open circuit, if one comes soon."""
        self._half_open_until[channel] = time.monotonic() + _HALF_OPEN_SECONDS

    def try_half_open(self, channel: AccountChannel) -> bool:
        """Use up the one message of a half-open circuit; return False if the circuit is not half-open."""
        return self._half_open_until.pop(channel, 0.0) > time.monotonic()

    async def open(self, channel: AccountChannel, code: str) -> None:
        """Open a circuit for all workers."""
        self._set(channel, code)
        args: list[str | int] = [_FIRST_PROBE_MS, _MAX_PROBE_MS, code, secrets.token_hex(8), _OPEN_MS]
        first = await self._open([channel.key], args)
        self._set(channel, code)  # a refresh may have come between, with the state before
        if first:
            log.error("account_halted", account=channel.account, channel=channel.channel, why=describe(code))

    async def close(self, channel: AccountChannel) -> None:
        """Close a circuit for all workers."""
        self._set(channel, "")
        if await self._close([channel.key], [secrets.token_hex(8), _CLOSED_MS]):
            log.info("account_resumed", account=channel.account, channel=channel.channel)

    async def take_probe(self, channel: AccountChannel) -> bool:
        """Return whether this worker is to probe an open circuit now; only one worker is."""
        return bool(await self._take_probe([channel.key], [_FIRST_PROBE_MS, _MAX_PROBE_MS]))

    async def refresh(self) -> None:
        """Read the circuits that other workers have opened and closed."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for channel in self.channels:
                pipeline.hmget(channel.key, "halted", "code")
            records = await cast("Awaitable[list[list[bytes | None]]]", pipeline.execute())
        for channel, (is_open, code) in zip(self.channels, records, strict=True):
            self._set(channel, (code or b"").decode() if is_open == b"1" else "")

    def _set(self, channel: AccountChannel, code: str) -> None:
        before = self._codes.pop(channel, "")
        if before and before != code:
            self._metrics.circuit_open.labels(channel.account, channel.channel, before).set(0)
        if code:
            self._codes[channel] = code
            self._metrics.circuit_open.labels(channel.account, channel.channel, code).set(1)
        else:
            self._half_open_until.pop(channel, None)


class CircuitBreaker:
    """Stops consumption while no message can be sent.

    It is open while the spend cap is reached or the circuits of all accounts are open. Only the circuits
    of texts count: nearly all messages are texts, and while none can be sent, calls wait with them.

    Args:
        circuits: the circuits of the accounts.
        spend_cap: the daily spend cap.
        metrics: shows the state.
    """

    def __init__(self, circuits: AccountCircuits, spend_cap: SpendCap, metrics: ProviderMetrics) -> None:
        self.half_open = False
        self.reason = ""
        self._circuits = circuits
        self._channels = [channel for channel in circuits.channels if channel.channel == "sms"]
        self._spend_cap = spend_cap
        self._metrics = metrics
        self._callbacks: list[Callable[[], None]] = []

    @property
    def closed(self) -> bool:
        """Whether messages may be consumed; if not and `half_open`, one at a time."""
        return not self.reason

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change of `closed` or `half_open`."""
        self._callbacks.append(callback)

    def refresh(self) -> None:
        """Update the state from the circuits and the spend cap."""
        before = self.closed, self.half_open
        self.reason = self._find_reason()
        self.half_open = (
            bool(self.reason)
            and not self._spend_cap.reason
            and any(self._circuits.is_half_open(channel) for channel in self._channels)
        )
        self._metrics.breaker_open.set(not self.closed)
        if before[0] != self.closed:
            log.warning("sending_paused", reason=self.reason) if self.reason else log.info("sending_resumed")
        if before != (self.closed, self.half_open):
            for callback in self._callbacks:
                callback()

    def _find_reason(self) -> str:
        codes = {channel.account: self._circuits.code(channel) for channel in self._channels}
        if self._spend_cap.reason or not all(codes.values()):
            return self._spend_cap.reason
        return "; ".join(f"{account}: {describe(code)}" for account, code in codes.items())


def describe(code: str) -> str:
    """Return a code with its meaning."""
    return code if code == UNREACHABLE else f"{code} {find_rule(int(code)).meaning}"
