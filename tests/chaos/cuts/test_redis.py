"""Redis behind a proxy that cuts: one cut goes unnoticed, several are failures of Redis and nothing else."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deploy.local.servers import Servers
from shared.redis import client as redis_client
from shared.redis.client import REDIS_FAILURES
from shared.redis.scripts import RedisScripts, Script
from tests.chaos.cuts.conftest import places
from tests.support.cut_after import CutAfter, How
from tests.support.proxies import Direction

# Replies of some size: a reader that is paused is resumed on a transport that may be closed by then.
_WRITE = "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) return {KEYS[1], string.rep('x', 300)}"
_POOL = 64


class Client:
    """A client of a Redis behind a proxy.

    Attributes:
        proxy: where its connections are cut.
        redis: the client.
    """

    def __init__(self, proxy: CutAfter, redis: Redis) -> None:
        self.proxy = proxy
        self.redis = redis
        self._script: Script = RedisScripts(redis).register(_WRITE)

    async def work(self) -> None:
        """Send a batched script, a command and a pipeline."""
        name = f"cuts:{secrets.token_hex(8)}"
        assert (await self._script([name], ["1"]))[0] == name.encode()
        assert await self.redis.get(name) == b"1"
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.get(name)
            pipeline.pttl(name)
            assert (await pipeline.execute())[0] == b"1"

    async def forget_connections(self) -> None:
        """Have the next work begin with a new connection."""
        await self.redis.connection_pool.disconnect()

    async def size(self, direction: Direction) -> int:
        """Return the bytes of a new connection and its work."""
        await self.forget_connections()
        before = self.proxy.passed[direction]
        await self.work()
        return self.proxy.passed[direction] - before

    async def healthy(self) -> None:
        """Assert that as much work as there are connections is done at once."""
        self.proxy.disarm()
        await asyncio.gather(*(self.work() for _ in range(_POOL)))


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[Client]:
    async with CutAfter(servers.redis.url) as proxy:
        redis = redis_client.connect(proxy.url)
        yield Client(proxy, redis)
        await redis.aclose()


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_one_cut_anywhere_is_made_good(client: Client, direction: Direction, how: How) -> None:
    for after in places(await client.size(direction)):
        await client.forget_connections()
        client.proxy.arm(direction, after, how)
        await client.work()
        await client.work()
    assert client.proxy.cuts > 0
    await client.healthy()


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_cuts_that_go_on_are_failures_of_redis(client: Client, direction: Direction, how: How) -> None:
    failed = 0
    for after in places(await client.size(direction)):
        await client.forget_connections()
        client.proxy.arm(direction, after, how, times=9)
        try:
            await client.work()
        except REDIS_FAILURES:
            failed += 1
        client.proxy.disarm()
        await client.work()
    assert failed > 0
    await client.healthy()


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_idle_connections_that_were_cut_are_not_handed_out(client: Client, how: How) -> None:
    for _ in range(3):
        await client.healthy()  # opens many
        await client.proxy.cut_all(how)
        await asyncio.gather(*(client.redis.ping() for _ in range(_POOL)))


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_cuts_under_load_are_failures_of_redis(client: Client, how: How) -> None:
    over = False

    async def keep_working() -> int:
        done = 0
        while not over:
            try:
                await client.work()
                done += 1
            except REDIS_FAILURES:
                await asyncio.sleep(0.01)
        return done

    workers = [asyncio.create_task(keep_working()) for _ in range(16)]
    for _ in range(20):
        await asyncio.sleep(0.05)
        await client.proxy.cut_all(how)
    over = True
    assert min(await asyncio.gather(*workers)) > 0
    await client.healthy()


async def test_cancelled_calls_cost_no_connection(client: Client) -> None:
    await client.healthy()
    for turn in range(30):
        calls = [asyncio.create_task(client.work()) for _ in range(2 * _POOL)]
        await asyncio.sleep(0.001 * (turn % 10))
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    await client.healthy()


async def test_a_cancellation_is_never_lost(client: Client) -> None:
    async def work_for_ever() -> None:
        while True:
            await client.work()

    for turn in range(50):
        worker = asyncio.create_task(work_for_ever())
        await asyncio.sleep(0.0003 * turn)
        worker.cancel()
        await asyncio.wait([worker], timeout=2)
        assert worker.cancelled()
