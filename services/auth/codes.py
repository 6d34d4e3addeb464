"""The codes in Redis: issued, verified and consumed by one atomic script each."""

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis

from services.auth.code_secrets import CodeSecrets, new_nonce
from services.auth.errors import InvalidCode, TooManyCodes
from services.auth.redis_errors import redis_errors
from shared.errors import InvalidRequest, Unavailable
from shared.messages import Purpose
from shared.metrics import AuthMetrics

# Every script may run twice, because the client repeats a command whose answer it lost: the request
# that a key was taken for is stored in it, and the same request finds what it did before.

# KEYS cooldown, code; ARGV request, cooldown ms, nonce, proof, ttl ms.
# Returns {0, ms left of the cooldown} or {1, the nonce in force}.
_ISSUE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left > 0 then return {0, left} end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
local nonce = redis.call('HGET', KEYS[2], 'nonce')
if not nonce or redis.call('HEXISTS', KEYS[2], 'used_by') == 1 then
  nonce = ARGV[3]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'nonce', nonce, 'proof', ARGV[4], 'tries', 0)
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {1, nonce}
"""

# KEYS cooldown; ARGV request.
_RELEASE_COOLDOWN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

# KEYS code; ARGV attempt, proof, wrong tries allowed. Returns 1 where this attempt has consumed it.
_CONSUME = """
local used_by = redis.call('HGET', KEYS[1], 'used_by')
if used_by then return used_by == ARGV[1] and 1 or 0 end
local proof = redis.call('HGET', KEYS[1], 'proof')
if not proof then return 0 end
if proof == ARGV[2] then
  redis.call('HSET', KEYS[1], 'used_by', ARGV[1])
  return 1
end
if redis.call('HINCRBY', KEYS[1], 'tries', 1) >= tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[1])
end
return 0
"""

# KEYS code; ARGV attempt.
_GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'used_by') == ARGV[1] then redis.call('HDEL', KEYS[1], 'used_by') end
"""

log = structlog.get_logger()


class RedisCodes:
    """The living codes and cooldowns; names of keys are pseudonyms, values hold no code.

    Args:
        redis: answers as bytes.
        secrets_: derives codes, proofs and names.
        ttl: seconds that a code lives after it was last sent.
        cooldown: seconds between two codes to one number, whatever their purpose.
        max_tries: wrong tries after which a code is dead.
        metrics: counts what becomes of codes.
    """

    def __init__(
        self,
        redis: Redis,
        secrets_: CodeSecrets,
        *,
        ttl: int,
        cooldown: int,
        max_tries: int,
        metrics: AuthMetrics,
    ) -> None:
        self._secrets = secrets_
        self._ttl_ms = ttl * 1000
        self._cooldown_ms = cooldown * 1000
        self._max_tries = max_tries
        self._metrics = metrics
        self._issue = redis.register_script(_ISSUE)
        self._release = redis.register_script(_RELEASE_COOLDOWN)
        self._consume = redis.register_script(_CONSUME)
        self._give_back = redis.register_script(_GIVE_BACK)

    async def issue(self, mobile: str, purpose: Purpose, request: str) -> str:
        """Take the number's cooldown and return its code: the living one, else a new one."""
        nonce = new_nonce()
        proof = self._secrets.proof(mobile, purpose, self._secrets.code(mobile, purpose, nonce))
        keys = [self._cooldown_key(mobile), self._code_key(mobile, purpose)]
        args: list[str | int] = [request, self._cooldown_ms, nonce, proof, self._ttl_ms]
        with redis_errors(self._metrics):
            issued, detail = await self._issue(keys, args)
        if not issued:
            self._metrics.codes.labels(purpose, "refused").inc()
            raise TooManyCodes(retry_after=math.ceil(detail / 1000))
        self._metrics.codes.labels(purpose, "requested").inc()
        return self._secrets.code(mobile, purpose, detail.decode())

    async def release_cooldown(self, mobile: str, request: str) -> None:
        """Give back the cooldown that `request` took."""
        try:
            with redis_errors(self._metrics):
                await self._release([self._cooldown_key(mobile)], [request])
        except Unavailable:
            log.warning("cooldown_not_released")  # it ends by itself

    @asynccontextmanager
    async def consuming(self, mobile: str, purpose: Purpose, code: str) -> AsyncIterator[None]:
        """Verify and consume a code atomically for the length of a block."""
        key = self._code_key(mobile, purpose)
        attempt = secrets.token_hex(8)
        proof = self._secrets.proof(mobile, purpose, code)
        with redis_errors(self._metrics):
            consumed = await self._consume([key], [attempt, proof, self._max_tries])
        self._metrics.codes.labels(purpose, "verified" if consumed else "wrong").inc()
        if not consumed:
            raise InvalidCode
        try:
            yield
        except InvalidRequest:
            raise  # the user's own mistake; the code has served
        except BaseException:
            await self._return(key, attempt)
            raise

    async def _return(self, key: str, attempt: str) -> None:
        try:
            with redis_errors(self._metrics):
                await self._give_back([key], [attempt])
        except Unavailable:
            log.warning("code_not_given_back")  # the user asks for another one

    # The braces keep both keys of a number on one node of a Redis cluster.
    def _cooldown_key(self, mobile: str) -> str:
        return f"code:{{{self._secrets.key(mobile)}}}:cooldown"

    def _code_key(self, mobile: str, purpose: Purpose) -> str:
        return f"code:{{{self._secrets.key(mobile)}}}:{purpose}"
