"""The throttle of sign-ins with a password, in Redis: failed attempts make the next one wait."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog
from redis.asyncio import Redis

from services.auth.errors import TooManyAttempts
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.networks import TRUSTED_MS, account_address, canonical, network_of, trusted_address_key
from shared.errors import InvalidRequest
from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES

_ATTEMPT_MS = 60_000
# Sign-ins go on without Redis, and without a long wait for it.
_TIMEOUT_SECONDS = 0.5

_Result = Literal["right", "wrong", "undecided"]

log = structlog.get_logger()

# The scripts may run twice, because the client repeats a command whose answer was lost: an attempt has
# a key of its own, which exists from its begin until it is settled.
#
# A subject is a hash: its number of failures (`level`, which decreases at the rate of its limit), the
# time of that (`at`), and the time before which its next attempt has to wait (`next`). Beyond the limit
# each failure doubles the wait, so that in the long run the limit holds.
#
# KEYS  1 attempt, 2 trusted address, then the subjects:
#       3 account from this address, 4 account, 5 address, 6 network
_SUBJECTS = """
local names = {[3] = 'pair', [4] = 'account', [5] = 'address', [6] = 'network'}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first_wait, longest_wait = 1000, 900000

local function amount_and_window(place)
  return tonumber(ARGV[2 * place - 4]), tonumber(ARGV[2 * place - 3])
end

local function level_of(place)
  local amount, window = amount_and_window(place)
  local level, at = unpack(redis.call('HMGET', KEYS[place], 'level', 'at'))
  return math.max(0, tonumber(level or 0) - (now - tonumber(at or now)) * amount / window)
end

local function add(place, failures)
  local amount, window = amount_and_window(place)
  local level = math.max(0, level_of(place) + failures)
  local beyond = math.ceil(level - amount)
  local wait = beyond > 0 and math.min(longest_wait, first_wait * 2 ^ (beyond - 1)) or 0
  redis.call('HSET', KEYS[place], 'level', level, 'at', now, 'next', now + wait)
  redis.call('PEXPIRE', KEYS[place], math.ceil(wait + window * (level + 1) / amount))
end
"""

# ARGV  1 ms that an attempt may take, then amount and window ms of each subject
# Returns {0} if the attempt may begin, else {ms to wait, name of the subject}.
#
# From an unknown address a failure is counted before the password is checked, and taken back if it was
# right, so that parallel guesses gain nothing. From an address that the account trusts, it is counted
# afterwards, so that the owner may sign in many times at once.
_BEGIN = (
    _SUBJECTS
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return {0} end
local known = redis.call('EXISTS', KEYS[2]) == 1
local wait, subject = 0, ''
for place = known and 3 or 4, known and 3 or 6 do
  local left = tonumber(redis.call('HGET', KEYS[place], 'next') or 0) - now
  if left > wait then wait, subject = left, names[place] end
end
if wait > 0 then return {wait, subject} end
if not known then for place = 4, 6 do add(place, 1) end end
redis.call('SET', KEYS[1], known and 'known' or 'counted', 'PX', ARGV[1])
return {0}
"""
)

# ARGV  1 'right', 'wrong' or 'undecided', then amount and window ms of each subject,
#       last: ms that an address is trusted
_SETTLE = (
    _SUBJECTS
    + """
local begun = redis.call('GETDEL', KEYS[1])
if not begun then return end
if ARGV[1] == 'wrong' then
  if begun == 'known' then add(3, 1) end
  return
end
if begun == 'counted' then for place = 4, 6 do add(place, -1) end end
if ARGV[1] == 'right' then
  redis.call('DEL', KEYS[3])
  if begun == 'counted' then redis.call('DEL', KEYS[4]) end
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[#ARGV])
end
"""
)


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """The rates of failed attempts that do not make the next one wait."""

    account: Limit
    address: Limit
    network: Limit


class SignInThrottle:
    """Counts failed attempts per account, address and network, and makes the next one wait.

    If Redis does not answer, attempts are allowed and counted as unthrottled (fail open): they still
    need the password, and otherwise nobody could sign in.

    Args:
        redis: answers as bytes.
        keyed_hash: hashes numbers and addresses in the names of keys.
        limits: rates of failed attempts.
        metrics: counts refused and unthrottled attempts.
    """

    def __init__(
        self, redis: Redis, keyed_hash: KeyedHash, limits: SignInLimits, metrics: AuthMetrics
    ) -> None:
        self._redis = redis
        self._hash = keyed_hash
        self._metrics = metrics
        self._begin = redis.register_script(_BEGIN)
        self._settle = redis.register_script(_SETTLE)
        subjects = [limits.account, limits.account, limits.address, limits.network]
        self._limits = [number for limit in subjects for number in (limit.amount, limit.window_ms)]

    @asynccontextmanager
    async def attempt(self, mobile: str, address: str) -> AsyncIterator[None]:
        """Run the block, which checks a password, as an attempt.

        A block that raises `InvalidRequest` has failed; after any other error nothing is counted. Numbers
        without an account are throttled like those with one.

        Raises:
            TooManyAttempts: on entering; the block does not run.
        """
        keys = self._keys(mobile, address)
        begun = await self._try_to_begin(keys)
        result: _Result = "undecided"
        try:
            yield
            result = "right"
        except InvalidRequest:
            result = "wrong"
            raise
        finally:
            if begun:
                await self._settle_attempt(keys, result)

    async def _try_to_begin(self, keys: list[str]) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                wait, *subject = await self._begin(keys, [_ATTEMPT_MS, *self._limits])
        except REDIS_FAILURES as error:
            self._metrics.dependency_failures.labels("redis").inc()
            self._metrics.unthrottled.inc()
            log.warning("sign_in_unthrottled", error=type(error).__name__)
            return False
        if subject:
            self._metrics.throttled.labels("sign_in", subject[0].decode()).inc()
            raise TooManyAttempts(retry_after=math.ceil(wait / 1000))
        return True

    async def _settle_attempt(self, keys: list[str], result: _Result) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._settle(keys, [result, *self._limits, TRUSTED_MS])
        except REDIS_FAILURES as error:
            log.warning("sign_in_not_noted", error=type(error).__name__)

    def _keys(self, mobile: str, address: str) -> list[str]:
        return [
            f"sign-in:attempt:{secrets.token_hex(8)}",
            trusted_address_key(mobile, address, self._hash),
            f"sign-in:pair:{account_address(mobile, address, self._hash)}",
            f"sign-in:account:{self._hash.name('account', mobile)}",
            f"sign-in:address:{self._hash.name('address', canonical(address))}",
            f"sign-in:network:{self._hash.name('network', network_of(address))}",
        ]
