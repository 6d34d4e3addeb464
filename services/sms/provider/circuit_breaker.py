"""Circuit breakers: for each account's channel and destination, shared by all workers; one for consumption.

Each channel has circuits of its own because an account whose voice calls are not enabled can still send
texts. A circuit of home or of foreign numbers opens for what may be true of them alone: templates,
signatures, qualifications, prices. The circuit of the whole channel opens for all else; it has the key that
the version before used for everything, so that the halts of old workers are seen during an update.

The circuits are in Redis, so that all workers know them and only one worker probes. A worker that opens a
circuit acts at once, the others after their next refresh. While Redis is unavailable each worker keeps to
what it knows, and none sends anyway because the rate limit grants no slots. A successful probe closes a
circuit; its record is kept for a while, so that a circuit that opens again at once is probed less and less
often, and only by a message: what the account's state shows was wrong then.
"""

import math
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import structlog
from redis.asyncio import Redis

from services.sms.provider.base import Destination
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
# How long a message that has halted the account leaves a half-open circuit to others.
_YIELD_SECONDS = 3.0
# How long after a foreign text more are expected.
_IN_USE_SECONDS = 3600.0
_WHOLE = "all"

# The wait before the next probe. ARGV first and longest wait in ms.
_WAIT = """
local function wait(tries) return math.min(ARGV[1] * 2 ^ math.min(tries, 16), tonumber(ARGV[2])) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS circuit; ARGV as above, code, token, ms to keep it.
# Returns 1 if this call has opened the circuit, also when it is repeated.
_OPEN = f"""{_WAIT}
local halted = redis.call('HGET', KEYS[1], 'halted')
if halted ~= '1' then
  if halted then redis.call('HINCRBY', KEYS[1], 'flaps', 1) end
  local at = now + wait(tonumber(redis.call('HGET', KEYS[1], 'tries') or 0))
  redis.call('HSET', KEYS[1], 'halted', '1', 'by', ARGV[4], 'probe_at', string.format('%.0f', at))
end
redis.call('HSET', KEYS[1], 'code', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return redis.call('HGET', KEYS[1], 'by') == ARGV[4] and 1 or 0
"""

# KEYS circuit; ARGV as above. Returns 0, or one more than how often the circuit has opened again right after
# it was closed, if the caller is to probe now. Repeated, it returns 0, and the next probe comes later.
_TAKE_PROBE = f"""{_WAIT}
local at = tonumber(redis.call('HGET', KEYS[1], 'probe_at'))
if redis.call('HGET', KEYS[1], 'halted') ~= '1' or not at or at > now then return 0 end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'probe_at', string.format('%.0f', now + wait(tries)))
return 1 + tonumber(redis.call('HGET', KEYS[1], 'flaps') or 0)
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
    """One account's channel, for home or foreign numbers, or for all where `destination` is empty."""

    account: str
    channel: str
    destination: Destination | Literal[""] = ""

    @property
    def key(self) -> str:
        """The key of its circuit in Redis."""
        return ":".join(filter(None, ("sms:halt", self.account, self.channel, self.destination)))

    @property
    def labels(self) -> tuple[str, str, str]:
        """Its labels in metrics and logs."""
        return self.account, self.channel, self.destination or _WHOLE


class AccountCircuits:
    """The circuits of all account channels as this worker knows them, closed, open or half-open.

    Half-open is this worker's own state: it may try one message on an open circuit.

    Args:
        redis: shared by all workers; coroutines raise `shared.redis.client.REDIS_FAILURES`.
        channels: all channels of all accounts, whole and by destination.
        metrics: shows the open circuits.
    """

    def __init__(self, redis: Redis, channels: Sequence[AccountChannel], metrics: ProviderMetrics) -> None:
        self.channels = channels
        self._redis = redis
        self._metrics = metrics
        self._codes: dict[AccountChannel, str] = {}
        # Since when, and until when.
        self._half_open: dict[AccountChannel, tuple[float, float]] = {}
        self._open = redis.register_script(_OPEN)
        self._take_probe = redis.register_script(_TAKE_PROBE)
        self._close = redis.register_script(_CLOSE)

    def code(self, channel: AccountChannel) -> str:
        """Return why a circuit is open, a provider's code or `unreachable`; empty if it is closed."""
        return self._codes.get(channel, "")

    def blocking(self, channel: AccountChannel) -> list[AccountChannel]:
        """Return the open circuits that keep a channel from a destination: its own, the whole channel's."""
        whole = AccountChannel(channel.account, channel.channel)
        return [circuit for circuit in dict.fromkeys((whole, channel)) if circuit in self._codes]

    def is_half_open(self, channel: AccountChannel) -> bool:
        """Return whether this worker may try one message on an open circuit."""
        return self._half_open_for(channel) is not None

    def half_open(self, channel: AccountChannel) -> None:
        """Let this worker try one message on an open circuit, if one comes soon."""
        now = time.monotonic()
        since = now if (known := self._half_open_for(channel)) is None else now - known
        self._half_open[channel] = since, now + _HALF_OPEN_SECONDS

    def try_half_open(self, channels: Sequence[AccountChannel], *, yielding: bool = False) -> bool:
        """Use up the one message of half-open circuits; return False if one of them is not half-open.

        Args:
            channels: the circuits that keep a message back.
            yielding: whether to leave them to other messages for a moment.
        """
        seconds = [self._half_open_for(channel) for channel in channels]
        if any(known is None or (yielding and known < _YIELD_SECONDS) for known in seconds):
            return False
        for channel in channels:
            del self._half_open[channel]
        return True

    async def open(self, channel: AccountChannel, code: str, detail: str = "") -> None:
        """Open a circuit for all workers; `detail` is the provider's explanation, for the log."""
        self._set(channel, code)
        args: list[str | int] = [_FIRST_PROBE_MS, _MAX_PROBE_MS, code, secrets.token_hex(8), _OPEN_MS]
        first = await self._open([channel.key], args)
        self._set(channel, code)  # a refresh may have come between, with the state before
        if first:
            account, name, destination = channel.labels
            log.error(
                "account_halted",
                account=account,
                channel=name,
                destination=destination,
                why=describe(code),
                detail=detail,
            )

    async def close(self, channel: AccountChannel) -> None:
        """Close a circuit for all workers."""
        self._set(channel, "")
        if await self._close([channel.key], [secrets.token_hex(8), _CLOSED_MS]):
            account, name, destination = channel.labels
            log.info("account_resumed", account=account, channel=name, destination=destination)

    async def take_probe(self, channel: AccountChannel) -> int:
        """Return whether this worker is to probe an open circuit now; only one worker is.

        Returns:
            0 if not, 1 if it is, more if the circuit has opened again right after it was closed.
        """
        return int(await self._take_probe([channel.key], [_FIRST_PROBE_MS, _MAX_PROBE_MS]))

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
            self._metrics.circuit_open.labels(*channel.labels, before).set(0)
        if code:
            self._codes[channel] = code
            self._metrics.circuit_open.labels(*channel.labels, code).set(1)
        else:
            self._half_open.pop(channel, None)

    def _half_open_for(self, channel: AccountChannel) -> float | None:
        """Return for how many seconds a circuit has been half-open, or None."""
        now = time.monotonic()
        since, until = self._half_open.get(channel, (now, now))
        return now - since if now < until else None


class CircuitBreaker:
    """Stops consumption while no message can be sent.

    It is open while the spend cap is reached or the circuits of all accounts are open, for home numbers and,
    where there are texts to them, for foreign ones. Only the circuits of texts count: nearly all messages are
    texts, and while none can be sent, calls wait with them. While one destination can be sent to, the
    messages to the other go round in the wait queues.

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
        self._accounts = list(dict.fromkeys(channel.account for channel in self._channels))
        self._foreign_seen_at = -math.inf
        self._spend_cap = spend_cap
        self._metrics = metrics
        self._callbacks: list[Callable[[], None]] = []

    @property
    def closed(self) -> bool:
        """Whether messages may be consumed; if not and `half_open`, one at a time."""
        return not self.reason

    def see(self, destination: Destination) -> None:
        """Note that there is a text to a destination."""
        if destination == "foreign":
            self._foreign_seen_at = time.monotonic()

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
        if self._spend_cap.reason:
            return self._spend_cap.reason
        reasons: dict[str, None] = {}
        for destination in self._destinations():
            for account in self._accounts:
                blocking = self._circuits.blocking(AccountChannel(account, "sms", destination))
                if not blocking:
                    return ""
                reasons[f"{account}: {describe(self._circuits.code(blocking[0]))}"] = None
        return "; ".join(reasons)

    def _destinations(self) -> list[Destination]:
        """Return the destinations in use: home, and foreign where it was a while ago."""
        is_foreign = time.monotonic() - self._foreign_seen_at < _IN_USE_SECONDS
        return ["home", "foreign"] if is_foreign else ["home"]


def describe(code: str) -> str:
    """Return a code with its meaning."""
    return code if code == UNREACHABLE else f"{code} {find_rule(int(code)).meaning}"
