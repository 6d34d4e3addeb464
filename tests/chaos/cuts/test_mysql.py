"""MySQL behind a proxy that cuts: reads are repeated, writes are 503 or done, and the pool stays healthy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.models import NewUser
from shared.errors import Unavailable
from tests.chaos.cuts.conftest import places
from tests.support.client import new_mobile
from tests.support.clock import NOW
from tests.support.cut_after import CutAfter, How
from tests.support.proxies import Direction

_POOL = 4


@dataclass
class Client:
    """A database behind a proxy."""

    proxy: CutAfter
    database: Database

    async def read(self) -> None:
        assert await self.database.fetch_one("SELECT %s, REPEAT('x', 300)", (1,)) == (1, "x" * 300)

    async def write(self) -> None:
        """Write without a transaction, then in one."""
        users = UserRepository(self.database)
        number = await users.add(NewUser(new_mobile(), None, None, None, NOW))
        async with self.database.transaction():
            added = await users.add(NewUser(new_mobile(), None, None, None, NOW))
            assert await users.find_by_id(number)
        assert await users.find_by_id(added)

    async def healthy(self) -> None:
        """Assert that as much work as there are connections is done at once."""
        self.proxy.disarm()
        await asyncio.gather(*(self.read() for _ in range(_POOL)))
        await asyncio.gather(*(self.write() for _ in range(_POOL)))


@pytest.fixture
async def client(mysql_url: str) -> AsyncIterator[Client]:
    async with CutAfter(mysql_url) as proxy:
        database = Database(proxy.url, pool_size=_POOL)
        yield Client(proxy, database)
        await database.close()


@pytest.fixture
async def single(mysql_url: str) -> AsyncIterator[CutAfter]:
    async with CutAfter(mysql_url) as proxy:
        yield proxy


async def size(client: Client, direction: Direction, *, connecting: bool) -> int:
    """Return the bytes of a read and a write, and of a new connection before them."""
    if connecting:
        await client.proxy.cut_all("reset")
    else:
        await client.read()
    before = client.proxy.passed[direction]
    await client.read()
    await client.write()
    return client.proxy.passed[direction] - before


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_cut_anywhere_is_made_good_or_is_unavailable(
    client: Client, direction: Direction, how: How
) -> None:
    unavailable = 0
    for after in places(await size(client, direction, connecting=True)):
        await client.proxy.cut_all("reset")
        client.proxy.arm(direction, after, how)
        await client.read()
        try:
            await client.write()
        except Unavailable:
            unavailable += 1
        client.proxy.disarm()
        await client.read()
        await client.write()
    assert unavailable > 0  # a statement that may have been carried out is not repeated
    await client.healthy()


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_cuts_that_go_on_are_unavailable(client: Client, direction: Direction, how: How) -> None:
    for after in places(await size(client, direction, connecting=True)):
        await client.proxy.cut_all("reset")
        client.proxy.arm(direction, after, how, times=9)
        try:
            await client.read()
            await client.write()
        except Unavailable:
            pass
        client.proxy.disarm()
        await client.read()
    await client.healthy()


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_idle_connections_that_were_cut_are_not_handed_out(client: Client, how: How) -> None:
    for _ in range(3):
        await client.healthy()
        await client.proxy.cut_all(how)
        await asyncio.gather(*(client.write() for _ in range(_POOL)))


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_transaction_that_is_cut_between_two_statements_is_unavailable(
    client: Client, how: How
) -> None:
    for _ in range(5):
        with pytest.raises(Unavailable):
            await cut_in_transaction(client, how)
        await client.write()
    await client.healthy()


async def cut_in_transaction(client: Client, how: How) -> None:
    async with client.database.transaction():
        await client.read()
        await client.proxy.cut_all(how)
        await client.read()


async def test_connections_that_are_reset_when_they_are_opened_are_unavailable(client: Client) -> None:
    for _ in range(20):
        client.proxy.refusing = True
        await client.proxy.cut_all("reset")
        for work in (client.read, client.write):
            with pytest.raises(Unavailable):
                await work()
        client.proxy.refusing = False
        await client.write()
    await client.healthy()


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_cuts_under_load_are_unavailable(client: Client, how: How) -> None:
    over = False

    async def keep_working() -> int:
        done = 0
        while not over:
            try:
                await client.read()
                await client.write()
                done += 1
            except Unavailable:
                await asyncio.sleep(0.01)
        return done

    workers = [asyncio.create_task(keep_working()) for _ in range(3 * _POOL)]
    for _ in range(20):
        await asyncio.sleep(0.1)
        await client.proxy.cut_all(how)
    over = True
    assert min(await asyncio.gather(*workers)) > 0
    await client.healthy()


async def test_cancelled_statements_cost_no_connection(client: Client) -> None:
    await client.healthy()
    for turn in range(30):
        statements = [asyncio.create_task(client.write()) for _ in range(3 * _POOL)]
        await asyncio.sleep(0.002 * (turn % 10))
        for statement in statements:
            statement.cancel()
        for ended in await asyncio.gather(*statements, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError)
    await client.healthy()


async def test_connections_that_an_operator_kills_are_replaced(client: Client, database: Database) -> None:
    await client.healthy()
    for (connection,) in await database.fetch_all(
        "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = DATABASE() "
        "AND command = 'Sleep'",
        (),
    ):
        await database.execute(f"KILL {connection}", ())
    await asyncio.sleep(0.1)  # until the proxy has passed it on
    await asyncio.gather(*(client.write() for _ in range(_POOL)))
