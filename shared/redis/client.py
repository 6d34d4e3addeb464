"""Redis clients with short time limits, for a single server or behind Sentinels."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, RedisError

from shared.redis.connection import checked
from shared.security.tls import TlsFiles
from shared.server_urls import SentinelAddress, is_sentinel_url, parse_sentinel_url

# Raised to callers when Redis is down or hangs, or when the pool is exhausted.
REDIS_FAILURES = (RedisError, OSError, TimeoutError)

_MAX_CONNECTIONS = 64
_POOL_WAIT_SECONDS = 1.0
_SOCKET_SECONDS = 0.5
_PROBE_KEY = "readiness"
_PROBE_LIFE_MS = 10_000


class _Sentinels(Sentinel):
    """Keeps all Sentinels when several connections ask for the master at the same time.

    redis-py 8.1 moves the Sentinel that answered to the front of its list by swapping two entries.
    Concurrent swaps drop a Sentinel from the list, which then is neither asked nor closed.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]
        self._all = tuple(self.sentinels)
        for sentinel in self._all:
            pool = sentinel.connection_pool
            pool.connection_class = checked(pool.connection_class)

    async def discover_master(self, service_name: str) -> Any:  # noqa: ANN401 - the library's
        """Return host and port of the master."""
        try:
            return await super().discover_master(service_name)
        finally:
            first = self.sentinels[0]
            self.sentinels = [first, *(sentinel for sentinel in self._all if sentinel is not first)]


class _BlockingPool(BlockingConnectionPool):
    """A blocking pool whose exhaustion has a class of its own, because it is no failure of Redis.

    Its connections notice that they are dead, also when they are idle.
    """

    def __init__(self, connection_class: type[AbstractConnection] = Connection, **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(connection_class=checked(connection_class), **options)

    async def get_connection(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's
        """Return a connection.

        Raises:
            MaxConnectionsError: none became free in time.
        """
        try:
            return await super().get_connection(*arguments, **options)  # type: ignore[no-untyped-call]
        except RedisConnectionError as error:
            if isinstance(error.__cause__, TimeoutError) and error.__cause__.errno is None:
                raise MaxConnectionsError(str(error)) from error
            raise


class _SentinelPool(SentinelConnectionPool, _BlockingPool):
    """A blocking pool of connections to the master that the Sentinels name.

    Attributes:
        authority: for connections with TLS to servers whose certificates do not name the addresses that
            Sentinels announce, a context that takes certificates of one authority alone; else None. The
            library's own context would take those of the system's authorities, too, of any host.
    """

    authority: ssl.SSLContext | None = None

    def make_connection(self) -> Any:  # noqa: ANN401 - the library's
        """Return a new connection, which is not connected yet."""
        connection = super().make_connection()  # type: ignore[no-untyped-call]
        if self.authority is not None:
            connection.ssl_context.context = self.authority
        return connection

    async def aclose(self) -> None:
        """Close the connections to the master and to the Sentinels."""
        await super().aclose()
        await self.sentinel_manager.aclose()


def connect(url: str) -> Redis:
    """Return a client for `url`; connections are opened on first use.

    The library retries ten times by default, so that a call takes about a minute when Redis hangs;
    here a command fails after about a second.

    Args:
        url: `redis://…` or `rediss://…?ssl_ca_certs=FILE` for one server, `redis+sentinel://…` (see
            `shared.server_urls`) for a replicated one. Clients follow a failover; because replication
            is asynchronous, the last writes before it can be lost.
    """
    # One retry, for a connection that was closed while idle or whose server was demoted. Scripts are
    # idempotent.
    options = {
        "max_connections": _MAX_CONNECTIONS,
        "timeout": _POOL_WAIT_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.05), retries=1),
        **_time_limits(),
    }
    if is_sentinel_url(url):
        return Redis.from_pool(_sentinel_pool(parse_sentinel_url(url), options))
    return Redis.from_pool(_BlockingPool.from_url(url, **options))


def check(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the health check of a client."""

    async def ping() -> None:
        await redis.ping()

    return ping


def check_writes(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the health check that Redis takes writes: one that is full or a replica still answers PING."""

    async def write() -> None:
        await redis.set(_PROBE_KEY, b"", px=_PROBE_LIFE_MS)

    return write


def _time_limits() -> dict[str, float]:
    return {"socket_timeout": _SOCKET_SECONDS, "socket_connect_timeout": _SOCKET_SECONDS}


def _sentinel_pool(address: SentinelAddress, options: Mapping[str, Any]) -> _SentinelPool:
    sentinels = _Sentinels(
        address.sentinels,
        # No retry: the next Sentinel is asked instead.
        sentinel_kwargs={
            **_time_limits(),
            "password": address.sentinel_password,
            "retry": Retry(NoBackoff(), 0),
            **(_tls(address.tls) if address.sentinels_secure else {}),
        },
    )
    pool = _SentinelPool(  # type: ignore[no-untyped-call]
        address.service,
        sentinels,
        db=address.database,
        username=address.username,
        password=address.password,
        **(_tls(address.tls) if address.secure else {}),
        **options,
    )
    pool.authority = address.authority()
    return pool


def _tls(files: TlsFiles) -> dict[str, Any]:
    """Return redis-py's arguments of TLS, which verifies certificate and host name by default."""
    return {
        "ssl": True,
        "ssl_ca_certs": files.ca,
        "ssl_certfile": files.certificate,
        "ssl_keyfile": files.key,
    }
