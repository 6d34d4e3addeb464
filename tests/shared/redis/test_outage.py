"""What is an outage of Redis, and what is our own failure; the errors are those of a real Redis."""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import MaxConnectionsError, RedisError

from deploy.local.servers import Servers
from shared.redis import client as redis_client
from shared.redis.client import REDIS_FAILURES
from shared.redis.outage import RedisOutage
from tests.support.proxies import TcpProxy

WRITE = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)"


async def error_of(call: Callable[[], Awaitable[object]]) -> Exception:
    try:
        await call()
    except REDIS_FAILURES as error:
        return error
    raise AssertionError("it did not fail")


async def explained(redis: Redis, call: Callable[[], Awaitable[object]] | None = None) -> bool:
    """Return whether the failure of a call, by default of a script that writes, is one of Redis."""
    script = redis.register_script(WRITE)
    return await RedisOutage(redis).explains(await error_of(call or (lambda: script(["outage"]))))


@pytest.fixture
async def through(redis_proxy: TcpProxy) -> AsyncIterator[Redis]:
    client = redis_client.connect(redis_proxy.url_through)
    await client.ping()
    yield client
    await client.aclose()


async def test_a_refused_connection_is_an_outage() -> None:
    redis = redis_client.connect("redis://127.0.0.1:1/0")
    assert await explained(redis)


async def test_a_broken_connection_is_an_outage(redis_proxy: TcpProxy, through: Redis) -> None:
    redis_proxy.refuse()
    assert await explained(through)


async def test_silence_is_an_outage_if_a_new_connection_gets_no_answer_either(
    redis_proxy: TcpProxy, through: Redis
) -> None:
    redis_proxy.hold("down")
    assert await explained(through)


async def test_an_answer_that_comes_too_late_is_no_outage(redis_proxy: TcpProxy, through: Redis) -> None:
    redis_proxy.hold("down")
    error = await error_of(through.ping)
    redis_proxy.release()
    assert not await RedisOutage(through).explains(error)


async def test_silence_is_no_outage_while_this_process_is_late(redis_proxy: TcpProxy, through: Redis) -> None:
    redis_proxy.hold("down")
    error = await error_of(through.ping)
    asyncio.get_running_loop().call_later(0.1, time.sleep, 0.2)
    assert not await RedisOutage(through).explains(error)


async def test_sentinels_that_name_no_master_are_an_outage_unless_this_process_is_late() -> None:
    redis = redis_client.connect("redis+sentinel://127.0.0.1:1/mymaster")
    error = await error_of(redis.ping)
    assert await RedisOutage(redis).explains(error)
    with a_loop_that_is_late():
        assert not await RedisOutage(redis).explains(error)
    await redis.aclose()


@contextmanager
def a_loop_that_is_late() -> Iterator[None]:
    """Occupy the event loop at each of its turns."""
    loop, over = asyncio.get_running_loop(), False

    def occupy() -> None:
        time.sleep(0.15)
        if not over:
            loop.call_soon(occupy)

    loop.call_soon(occupy)
    try:
        yield
    finally:
        over = True


async def test_an_exhausted_pool_is_no_outage(servers: Servers) -> None:
    redis = redis_client.connect(servers.redis.url)
    pool = redis.connection_pool
    taken = [await pool.get_connection() for _ in range(pool.max_connections)]  # type: ignore[no-untyped-call]
    error = await error_of(redis.ping)
    assert isinstance(error, MaxConnectionsError)
    assert not await RedisOutage(redis).explains(error)
    for connection in taken:
        await pool.release(connection)
    await redis.aclose()


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Let this process open no further file or socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_running_out_of_descriptors_is_no_outage(servers: Servers) -> None:
    redis = redis_client.connect(servers.redis.url)
    with no_more_descriptors():
        error = await error_of(redis.ping)
        assert not await RedisOutage(redis).explains(error)
    await redis.aclose()


@pytest.fixture
async def configure(redis: Redis) -> AsyncIterator[Callable[[str, str], Awaitable[None]]]:
    """Change a setting of the server; afterwards it is as before."""
    before: dict[str, str] = {}

    async def configure(name: str, value: str) -> None:
        before[name] = (await redis.config_get(name))[name] or ""
        await redis.config_set(name, value)

    yield configure
    for name, value in before.items():
        await redis.config_set(name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("min-replicas-to-write", "1"), ("maxmemory", "1")], ids=["NOREPLICAS", "OOM"]
)
async def test_a_refused_write_is_an_outage(
    redis: Redis, configure: Callable[[str, str], Awaitable[None]], name: str, value: str
) -> None:
    await configure(name, value)
    assert await explained(redis)


async def test_a_mistake_of_ours_is_no_outage(redis: Redis) -> None:
    await redis.set("outage", "text", px=5000)
    for text in ("return redis.call('HGET', KEYS[1], 'x')", "return nil + 1", "no Lua"):
        script = redis.register_script(text)
        error = await error_of(lambda script=script: script(["outage"]))  # type: ignore[misc]
        assert isinstance(error, RedisError)
        assert not await RedisOutage(redis).explains(error)
