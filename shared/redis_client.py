"""The connection to Redis, with time limits that fail fast."""

from collections.abc import Awaitable, Callable

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

# What a caller can see when Redis is down, hangs or its pool is exhausted.
REDIS_FAILURES = (RedisError, OSError, TimeoutError)

_MAX_CONNECTIONS = 64
_POOL_WAIT_SECONDS = 1.0
_SOCKET_SECONDS = 0.5


def connect(url: str) -> Redis:
    """Return a client for `url`; connections are made when first used.

    The library's defaults retry ten times, which keeps a caller waiting for about a minute when
    Redis hangs; here a command fails after at most about a second.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_MAX_CONNECTIONS,
        timeout=_POOL_WAIT_SECONDS,
        socket_timeout=_SOCKET_SECONDS,
        socket_connect_timeout=_SOCKET_SECONDS,
        # One more try, for a connection that died while it was idle. Scripts are written so that
        # running twice is harmless.
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.05), retries=1),
    )
    return Redis.from_pool(pool)


def check(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the health check of a client."""

    async def ping() -> None:
        await redis.ping()

    return ping
