"""The accounts on a real MariaDB, and what the session there is really set to."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from types import NoneType

import pytest

from deploy.local.servers import Servers
from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.db.migrate import migrate
from services.auth.errors import AlreadyRegistered
from services.auth.models import NewUser, User
from shared.errors import Unavailable
from tests.support.client import new_mobile

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def new_user(mobile: str, nickname: str | None = None) -> NewUser:
    return NewUser(mobile, "$2b$04$hash", nickname, None, NOW)


async def test_the_strict_mode_is_in_force(database: Database) -> None:
    row = await database.fetch_one("SELECT @@SESSION.sql_mode", ())
    assert row is not None
    assert {"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"} <= set(row[0].split(","))


async def test_the_connection_speaks_utf8mb4_and_utc(database: Database) -> None:
    row = await database.fetch_one(
        "SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@time_zone", ()
    )
    assert row == ("utf8mb4", "utf8mb4", "utf8mb4", "+00:00")


async def test_a_too_long_value_is_refused_and_not_cut(database: Database) -> None:
    users, mobile = UserRepository(database), new_mobile()
    with pytest.raises(Exception, match="Data too long"):
        await users.add(new_user(mobile, nickname="x" * 65))
    assert await users.find_by_mobile(mobile) is None


async def test_whoever_waits_for_a_connection_gets_a_turn(mysql_url: str) -> None:
    database = Database(mysql_url, pool_size=2)
    reads = [0] * 6
    end = asyncio.get_running_loop().time() + 1

    async def read_on(number: int) -> None:
        while asyncio.get_running_loop().time() < end:
            await database.fetch_one("SELECT 1", ())
            reads[number] += 1

    await asyncio.gather(*(read_on(number) for number in range(6)))
    await database.close()
    assert min(reads) > max(reads) / 2


@pytest.mark.filterwarnings("ignore:'INFORMATION_SCHEMA.PROCESSLIST' is deprecated")  # MySQL's
async def test_the_pool_opens_no_more_connections_than_its_limit(mysql_url: str) -> None:
    database = Database(mysql_url, pool_size=3)
    mark = "/* pool test */"
    sleeps = [database.fetch_one(f"SELECT SLEEP(0.2) {mark}", ()) for _ in range(9)]
    waiting = asyncio.gather(*sleeps)
    await asyncio.sleep(0.1)
    watcher = Database(mysql_url, pool_size=1)
    seen = await watcher.fetch_one(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s AND id <> CONNECTION_ID()",
        (f"%{mark}",),
    )
    await waiting
    await database.close()
    await watcher.close()
    assert seen == (3,)


@pytest.mark.parametrize("nickname", ["小明", "🐼🎉", 'O\'Brien \\ "x"', "Ünï", None])
async def test_an_account_is_read_as_it_was_written(database: Database, nickname: str | None) -> None:
    users, mobile = UserRepository(database), new_mobile()
    user_id = await users.add(new_user(mobile, nickname))
    user = await users.find_by_mobile(mobile)
    assert user is not None
    assert user == await users.find_by_id(user_id)
    assert (user.id, user.mobile, user.nickname, user.created_at) == (user_id, mobile, nickname, NOW)


async def test_of_50_concurrent_accounts_for_a_number_one_is_stored(database: Database) -> None:
    users, mobile = UserRepository(database), new_mobile()
    results = await asyncio.gather(*(users.add(new_user(mobile)) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, AlreadyRegistered) for result in results) == 49


async def test_a_changed_account_is_read_as_it_was_saved(database: Database) -> None:
    users = UserRepository(database)
    user_id = await users.add(new_user(new_mobile()))
    changed = User(user_id, new_mobile(), None, "小明", "https://example.com/a.png", NOW, NOW)
    await users.save(changed)
    assert await users.find_by_id(user_id) == changed


async def test_of_20_accounts_that_take_a_number_at_once_one_gets_it(database: Database) -> None:
    users, wanted = UserRepository(database), new_mobile()
    accounts = [await users.find_by_id(await users.add(new_user(new_mobile()))) for _ in range(20)]

    async def take(user: User) -> None:
        async with database.transaction():
            await users.lock(user.id)
            await users.save(replace(user, mobile=wanted))

    results = await asyncio.gather(*(take(user) for user in accounts if user), return_exceptions=True)
    assert Counter(type(result) for result in results) == {NoneType: 1, AlreadyRegistered: 19}


async def test_a_removed_account_leaves_its_number_free(database: Database) -> None:
    users, mobile = UserRepository(database), new_mobile()
    user_id = await users.add(new_user(mobile))
    await users.remove(user_id)
    assert await users.find_by_mobile(mobile) is None
    assert await users.add(new_user(mobile)) > user_id


async def test_a_dead_idle_connection_is_not_noticed_by_a_reader(mysql_url: str) -> None:
    database = Database(mysql_url, pool_size=1)
    row = await database.fetch_one("SELECT CONNECTION_ID()", ())
    assert row is not None
    killer = Database(mysql_url, pool_size=1)
    await killer.fetch_one(f"KILL {row[0]}", ())
    assert await database.fetch_one("SELECT 1", ()) == (1,)
    await database.close()
    await killer.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = Database("mysql://nobody:nothing@127.0.0.1:1/nowhere", pool_size=1)
    with pytest.raises(Unavailable):
        await database.check()


async def test_a_statement_without_an_answer_in_time_is_unavailable(database: Database) -> None:
    with pytest.raises(Unavailable):
        await database.fetch_one("SELECT SLEEP(30)", ())
    assert await database.fetch_one("SELECT 1", ()) == (1,)


def test_migrating_again_changes_nothing(mysql_url: str) -> None:
    assert migrate(mysql_url) == []


async def test_migrations_at_once_take_turns(servers: Servers) -> None:
    results = await asyncio.gather(
        *(asyncio.to_thread(migrate, servers.mariadb.url) for _ in range(4)), return_exceptions=True
    )
    assert [result for result in results if isinstance(result, BaseException)] == []
