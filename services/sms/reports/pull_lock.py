"""The lock that lets one worker at a time pull status reports."""

import secrets

from redis.asyncio import Redis

_KEY = "sms:reports:puller"
# Longer than a pull may take; after a worker's death the next one waits so long.
_LIFETIME_MS = 30_000

# KEYS lock; ARGV token, lifetime in ms. Returns 1 where the caller holds the lock.
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS lock; ARGV token.
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class PullLock:
    """Held by its token for as long as it is taken again in time.

    Should it lapse in the middle of a pull, two workers pull side by side, and each stores what it
    was handed.
    """

    def __init__(self, redis: Redis) -> None:
        self._token = secrets.token_hex(8)
        self._take = redis.register_script(_TAKE)
        self._release = redis.register_script(_RELEASE)

    async def take(self) -> bool:
        """Take it, or keep it for longer; tell whether it is held."""
        return bool(await self._take([_KEY], [self._token, _LIFETIME_MS]))

    async def release(self) -> None:
        """Let the next worker have it at once."""
        await self._release([_KEY], [self._token])
