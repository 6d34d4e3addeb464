"""Which accounts are halted, in Redis, so that all workers know and only one of them probes.

A line is one account's channel: that voice is not switched on says nothing about texts. A worker that
learns of a halt acts at once; the others within the interval at which they refresh. Without Redis each
keeps to what it knows, and none sends anyway, because there is no budget. A halt ends by a probe; the
record stays for a while after that, so that a line that halts again at once is probed less and less often.
"""

import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from redis.asyncio import Redis

from services.sms.provider.yunpian.error_codes import find_rule
from shared.observability.metrics import ProviderMetrics

UNREACHABLE = "unreachable"
_FIRST_PROBE_SECONDS = 1
_MAX_PROBE_SECONDS = 60
_KEPT_SECONDS = 3600
_REMEMBERED_SECONDS = 15
# As long as between two probes, so that there is always somebody to try the next message that comes.
_TRIAL_SECONDS = _MAX_PROBE_SECONDS

# How long a probe is away after so many. ARGV first in ms, longest in ms.
_WAIT = """
local function wait(tries) return math.min(ARGV[1] * 2 ^ math.min(tries, 16), tonumber(ARGV[2])) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS line; ARGV as above, code, token, kept for ms.
# Returns 1 where this call has halted the line, also when it is repeated.
_HALT = f"""{_WAIT}
if redis.call('HGET', KEYS[1], 'halted') ~= '1' then
  local at = now + wait(tonumber(redis.call('HGET', KEYS[1], 'tries') or 0))
  redis.call('HSET', KEYS[1], 'halted', '1', 'by', ARGV[4], 'probe_at', string.format('%.0f', at))
end
redis.call('HSET', KEYS[1], 'code', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return redis.call('HGET', KEYS[1], 'by') == ARGV[4] and 1 or 0
"""

# KEYS line; ARGV as above. Returns 1 where the caller is to probe now.
# Repeated, it answers 0, and the next probe comes later.
_TAKE_PROBE = f"""{_WAIT}
local at = tonumber(redis.call('HGET', KEYS[1], 'probe_at'))
if redis.call('HGET', KEYS[1], 'halted') ~= '1' or not at or at > now then return 0 end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'probe_at', string.format('%.0f', now + wait(tries)))
return 1
"""

# KEYS line; ARGV token, remembered for ms. Returns 1 where this call has ended the halt.
_RESUME = """
if redis.call('HGET', KEYS[1], 'halted') == '1' then
  redis.call('HSET', KEYS[1], 'halted', '0', 'by', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('HGET', KEYS[1], 'by') == ARGV[1] and 1 or 0
"""

log = structlog.get_logger()


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


_PROBES = (_ms(_FIRST_PROBE_SECONDS), _ms(_MAX_PROBE_SECONDS))


@dataclass(frozen=True, slots=True)
class Line:
    """One account's channel."""

    account: str
    channel: str

    @property
    def key(self) -> str:
        """Where Redis keeps its halt."""
        return f"sms:halt:{self.account}:{self.channel}"


class Halts:
    """The halted lines, as this worker knows them, and the trials that it has been given.

    Args:
        redis: shared by all workers; methods raise `shared.redis.client.REDIS_FAILURES`.
        lines: all there are.
        metrics: shows the halts.
    """

    def __init__(self, redis: Redis, lines: Sequence[Line], metrics: ProviderMetrics) -> None:
        self.lines = lines
        self._redis = redis
        self._metrics = metrics
        self._codes: dict[Line, str] = {}
        self._trials: dict[Line, float] = {}
        self._halt = redis.register_script(_HALT)
        self._take_probe = redis.register_script(_TAKE_PROBE)
        self._resume = redis.register_script(_RESUME)

    def code(self, line: Line) -> str:
        """Return why a line is halted: a code, `unreachable`, or nothing where it is not halted."""
        return self._codes.get(line, "")

    def on_trial(self, line: Line) -> bool:
        """Tell whether this worker may try one message on a halted line."""
        return self._trials.get(line, 0.0) > time.monotonic()

    def grant_trial(self, line: Line) -> None:
        """Let this worker try one message on a halted line, if one comes soon."""
        self._trials[line] = time.monotonic() + _TRIAL_SECONDS

    def use_trial(self, line: Line) -> bool:
        """Take the trial, where there is one."""
        return self._trials.pop(line, 0.0) > time.monotonic()

    async def halt(self, line: Line, code: str) -> None:
        """Halt a line for all workers."""
        self._know(line, code)
        args: list[str | int] = [*_PROBES, code, secrets.token_hex(8), _ms(_KEPT_SECONDS)]
        first = await self._halt([line.key], args)
        self._know(line, code)  # a refresh may have come between, with what was before
        if first:
            log.error("account_halted", account=line.account, channel=line.channel, why=describe(code))

    async def resume(self, line: Line) -> None:
        """End a line's halt for all workers."""
        self._know(line, "")
        if await self._resume([line.key], [secrets.token_hex(8), _ms(_REMEMBERED_SECONDS)]):
            log.info("account_resumed", account=line.account, channel=line.channel)

    async def take_probe(self, line: Line) -> bool:
        """Tell whether this worker is the one to probe a halted line now."""
        return bool(await self._take_probe([line.key], _PROBES))

    async def refresh(self) -> None:
        """Learn what other workers have halted and resumed."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for line in self.lines:
                pipeline.hmget(line.key, "halted", "code")
            records = await cast("Awaitable[list[list[bytes | None]]]", pipeline.execute())
        for line, (halted, code) in zip(self.lines, records, strict=True):
            self._know(line, (code or b"").decode() if halted == b"1" else "")

    def _know(self, line: Line, code: str) -> None:
        before = self._codes.pop(line, "")
        if before and before != code:
            self._metrics.halted.labels(line.account, line.channel, before).set(0)
        if code:
            self._codes[line] = code
            self._metrics.halted.labels(line.account, line.channel, code).set(1)
        else:
            self._trials.pop(line, None)


def describe(code: str) -> str:
    """Return a code with its meaning."""
    return code if code == UNREACHABLE else f"{code} {find_rule(int(code)).meaning}"
