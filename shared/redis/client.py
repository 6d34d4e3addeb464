"""The connection to Redis, a single server or one that Sentinels watch, with time limits that fail fast."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import RedisError

from shared.server_urls import SentinelAddress, is_sentinel_url, parse_sentinel_url

# What a caller can see when Redis is down, hangs or its pool is exhausted.
REDIS_FAILURES = (RedisError, OSError, TimeoutError)

_MAX_CONNECTIONS = 64
_POOL_WAIT_SECONDS = 1.0
_SOCKET_SECONDS = 0.5


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to whatever server the Sentinels call the master; waits for a free one."""

    async def aclose(self) -> None:
        """Close the connections, and those to the Sentinels."""
        await super().aclose()
        await self.sentinel_manager.aclose()


def connect(url: str) -> Redis:
    """Return a client for `url`; connections are made when first used.

    The library's defaults retry ten times, which keeps a caller waiting for about a minute when
    Redis hangs; here a command fails after at most about a second.

    Args:
        url: `redis://…` or `rediss://…` for one server, `redis+sentinel://…` (see
            `shared.server_urls`) for one that fails over. After a failover the clients follow by
            themselves; replication being asynchronous, the last writes before it can be lost.
    """
    # One more try, for a connection that died while it was idle or whose server was demoted.
    # Scripts are written so that running twice is harmless.
    options = {
        "max_connections": _MAX_CONNECTIONS,
        "timeout": _POOL_WAIT_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.05), retries=1),
        **_limits(),
    }
    if is_sentinel_url(url):
        return Redis.from_pool(_sentinel_pool(parse_sentinel_url(url), options))
    return Redis.from_pool(BlockingConnectionPool.from_url(url, **options))


def check(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the health check of a client."""

    async def ping() -> None:
        await redis.ping()

    return ping


def _limits() -> dict[str, float]:
    return {"socket_timeout": _SOCKET_SECONDS, "socket_connect_timeout": _SOCKET_SECONDS}


def _sentinel_pool(address: SentinelAddress, options: Mapping[str, Any]) -> _SentinelPool:
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels,
        # Not tried twice: the next Sentinel is asked instead.
        sentinel_kwargs={**_limits(), "password": address.sentinel_password, "retry": Retry(NoBackoff(), 0)},
    )
    return _SentinelPool(  # type: ignore[no-untyped-call]
        address.service,
        sentinels,
        db=address.database,
        username=address.username,
        password=address.password,
        ssl=address.secure,
        **options,
    )
