"""Transactions: all or nothing, whatever breaks."""

import asyncio
import contextvars
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from deploy.local.mariadb import DATABASE
from services.auth.accounts.repository import UserRepository
from services.auth.audit.repository import AuditRepository
from services.auth.db.database import Database
from services.auth.db.tables import UserRow, to_column
from services.auth.errors import AlreadyRegistered, TransactionConflict
from services.auth.keyed_hash import KeyedHash
from services.auth.models import AuditEntry, Client, NewUser
from services.auth.outbox.repository import OutboxRepository
from shared.contracts.events import UserRegistered, decode_event
from shared.errors import Unavailable
from tests.support.client import new_mobile
from tests.support.clock import NOW

_EMPTY = contextvars.Context()
KEYED_HASH = KeyedHash("a secret for tests, and for nothing else")


def new_user(mobile: str) -> NewUser:
    return NewUser(mobile, "$2b$04$hash", None, None, NOW)


async def add(database: Database, mobile: str) -> int:
    """Store an account with its event, in the current transaction."""
    user_id = await UserRepository(database).add(new_user(mobile))
    await OutboxRepository(database).add(
        UserRegistered(user_id=user_id, occurred_at=NOW, mobile="139****0000", method="password")
    )
    return user_id


async def touch(database: Database, user_id: int) -> None:
    await database.update(UserRow.update(disabled_at=to_column(NOW)).where(UserRow.id == user_id))


async def events_of(database: Database, user_id: int) -> list[str]:
    rows = await database.fetch_all("SELECT type FROM outbox WHERE user_id = %s", (user_id,))
    return [row[0] for row in rows]


async def users_of(database: Database, mobile: str) -> list[int]:
    rows = await database.fetch_all("SELECT id FROM users WHERE mobile = %s", (mobile,))
    return [row[0] for row in rows]


async def test_what_a_block_writes_is_committed_as_one(database: Database) -> None:
    mobile = new_mobile()
    async with database.transaction():
        user_id = await add(database, mobile)
    assert await users_of(database, mobile) == [user_id]
    assert await events_of(database, user_id) == ["user.registered.v1"]


async def test_a_block_that_raises_leaves_nothing_and_the_connection_usable(mysql_url: str) -> None:
    database, mobile = Database(mysql_url, pool_size=1), new_mobile()

    async def register_twice() -> None:
        async with database.transaction():
            await add(database, mobile)
            await add(database, mobile)

    with pytest.raises(AlreadyRegistered):
        await register_twice()
    assert await users_of(database, mobile) == []
    await database.close()


async def kill_own_connection(database: Database, mysql_url: str) -> None:
    """Kill the connection of the current transaction, through one that is not part of it."""
    row = await database.fetch_one("SELECT CONNECTION_ID()", ())
    assert row is not None
    killer = Database(mysql_url, pool_size=1)
    await asyncio.create_task(killer.fetch_one(f"KILL {row[0]}", ()), context=_EMPTY)
    await killer.close()


@pytest.mark.parametrize("more", [True, False], ids=["before-a-statement", "before-the-commit"])
async def test_a_connection_that_is_killed_leaves_nothing(
    database: Database, mysql_url: str, *, more: bool
) -> None:
    mobile = new_mobile()

    async def lose_the_connection() -> None:
        async with database.transaction():
            await add(database, mobile)
            await kill_own_connection(database, mysql_url)
            if more:
                await add(database, new_mobile())

    with pytest.raises(Unavailable):
        await lose_the_connection()
    assert await users_of(database, mobile) == []


async def test_a_cancelled_block_leaves_nothing_and_stays_a_cancellation(database: Database) -> None:
    mobile = new_mobile()

    async def hang() -> None:
        async with database.transaction():
            await add(database, mobile)
            await database.fetch_one("SELECT SLEEP(2)", ())

    task = asyncio.create_task(hang())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await users_of(database, mobile) == []


async def test_a_time_limit_around_a_block_stays_a_time_limit(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), database.transaction():
            await database.fetch_one("SELECT SLEEP(2)", ())


async def test_a_second_task_inside_a_block_is_refused(database: Database) -> None:
    async with database.transaction():
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await asyncio.gather(database.fetch_one("SELECT 1", ()))


async def test_a_block_inside_a_block_is_part_of_it(database: Database) -> None:
    mobile = new_mobile()

    async def fail_after_the_inner_block() -> None:
        async with database.transaction():
            async with database.transaction():
                await add(database, mobile)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_the_inner_block()
    assert await users_of(database, mobile) == []


async def test_a_lock_that_is_held_for_too_long_is_a_conflict(database: Database) -> None:
    async with database.transaction():
        user_id = await add(database, new_mobile())
    held, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.transaction():
            await touch(database, user_id)
            held.set()
            await done.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(TransactionConflict):
        await touch(database, user_id)
    done.set()
    await holder


async def test_both_sides_of_a_deadlock_succeed(database: Database) -> None:
    async with database.transaction():
        first, second = await add(database, new_mobile()), await add(database, new_mobile())
    both_hold = asyncio.Barrier(2)
    tries = 0

    def crossing(own: int, other: int) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            nonlocal tries
            tries += 1
            await touch(database, own)
            if tries <= 2:
                await both_hold.wait()
            await touch(database, other)

        return work

    await asyncio.gather(
        database.with_deadlock_retry(crossing(first, second)),
        database.with_deadlock_retry(crossing(second, first)),
    )
    assert tries == 3


async def test_an_event_is_stored_as_it_will_be_sent(database: Database) -> None:
    async with database.transaction():
        user_id = await add(database, new_mobile())
    row = await database.fetch_one("SELECT event_id, type, body FROM outbox WHERE user_id = %s", (user_id,))
    assert row is not None
    event = decode_event(row[1], row[2].encode())
    assert (event.event_id, event.user_id, event.occurred_at) == (row[0], user_id, NOW)


async def test_an_audit_entry_holds_no_number(database: Database) -> None:
    mobile, client = new_mobile(), Client("2001:db8::1", "агент 🐼", "request-1")
    await AuditRepository(database, KEYED_HASH).add(
        AuditEntry("user.registered", NOW, client, 7, mobile, {"method": "密码"})
    )
    row = await database.fetch_one(
        "SELECT user_id, mobile, ip, user_agent, request_id, details FROM audit WHERE mobile_key = %s",
        (KEYED_HASH.audit_mobile(mobile),),
    )
    masked = f"139****{mobile[-4:]}"
    assert row == (7, masked, "2001:db8::1", "агент 🐼", "request-1", '{"method": "密码"}')


async def test_a_change_of_what_another_one_changed_since_it_was_read_is_tried_again(
    database: Database,
) -> None:
    """MariaDB refuses it since 11.6 (error 1020); earlier versions and MySQL change the newer row."""
    async with database.transaction():
        user_id = await add(database, new_mobile())
    tries, refuses = 0, False

    async def read_then_change() -> None:
        nonlocal tries, refuses
        tries += 1
        refuses = bool(await database.fetch_one("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'", ()))
        if refuses:
            await database.fetch_one("SET SESSION innodb_snapshot_isolation = ON", ())
        await database.fetch_one("SELECT nickname FROM users WHERE id = %s", (user_id,))
        if tries == 1:
            await asyncio.create_task(touch(database, user_id), context=_EMPTY)
        await touch(database, user_id)

    await database.with_deadlock_retry(read_then_change)
    assert tries == (2 if refuses else 1)


async def test_processes_of_the_version_before_take_turns_with_this_ones(database: Database) -> None:
    """They computed the name of a lock on the server: `CONCAT(lock, '.', MD5(DATABASE()))`."""
    former = f"dialpass.test.{hashlib.md5(DATABASE.encode(), usedforsecurity=False).hexdigest()}"
    async with database.named_lock("dialpass.test", 0.1) as taken:
        assert taken
        holder = await asyncio.create_task(
            database.fetch_one("SELECT IS_FREE_LOCK(%s)", (former,)), context=contextvars.Context()
        )
        assert holder == (0,)
    assert await database.fetch_one("SELECT IS_FREE_LOCK(%s)", (former,)) == (1,)
