"""No account without its event and its audit entry, and none of these without it: cut anywhere."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.auth.accounts.deletion import erase
from services.auth.accounts.registration import add_user
from services.auth.accounts.repository import MysqlUsers
from services.auth.audit.repository import MysqlAudit
from services.auth.db.database import Database
from services.auth.db.transactions import atomically
from services.auth.models import Client, NewUser
from services.auth.outbox.events import MysqlEvents
from services.auth.ports import Journal
from services.auth.pseudonyms import Pseudonyms
from services.auth.sessions.repository import MysqlSessions
from shared.errors import Unavailable
from tests.support.client import new_mobile
from tests.support.fakes import NOW, clock
from tests.support.proxies import CuttingProxy
from tests.support.system import CODE_SECRET

CLIENT = Client("192.0.2.1", "test", "request-1")
PSEUDONYMS = Pseudonyms(CODE_SECRET)
# As a connection sends them; 3 is the protocol's number for a statement.
BEGIN, COMMIT = "\x03BEGIN", "\x03COMMIT"
REGISTRATION = [BEGIN, "INSERT INTO `users`", "INSERT INTO `outbox`", "INSERT INTO `audit`", COMMIT]
DELETION = [
    BEGIN, "FROM `users`", "FROM `sessions`", "INSERT INTO `audit`", "UPDATE `audit`",
    "INSERT INTO `outbox`", "DELETE FROM `users`", COMMIT,
]  # fmt: skip
Change = Callable[[Database], Awaitable[object]]


def journal(database: Database) -> Journal:
    return Journal(database.transaction, MysqlEvents(database), MysqlAudit(database, PSEUDONYMS))


async def register(database: Database, mobile: str) -> int:
    user, users = NewUser(mobile, "hash", None, None, NOW), MysqlUsers(database)
    to = journal(database)
    return await atomically(
        to.transaction, lambda: add_user(user, CLIENT, method="password", users=users, journal=to)
    )


async def delete(database: Database, user_id: int) -> None:
    users, to = MysqlUsers(database), journal(database)
    sessions = MysqlSessions(database, to.events)

    async def work() -> None:
        user = await users.lock(user_id)
        assert user is not None
        await erase(user, CLIENT, users=users, sessions=sessions, journal=to, clock=clock)

    await atomically(to.transaction, work)


async def cut_at(mysql_url: str, statement: str, change: Change, *, delivered: bool) -> None:
    """Make a change by a connection that breaks at a statement."""
    async with CuttingProxy(mysql_url, BEGIN.encode(), statement.encode(), delivered=delivered) as proxy:
        database = Database(proxy.url, pool_size=1)
        with pytest.raises(Unavailable):
            await change(database)
        await database.close()
        assert proxy.cuts == 1


async def records(database: Database, mobile: str, event: str, action: str) -> tuple[int, int, int]:
    """Return how many accounts, events and entries there are, once the server knows of the cut.

    The locking reads wait for what is left of the transaction.
    """
    key = PSEUDONYMS.of(mobile)
    counts = []
    for sql, values in (
        ("SELECT id FROM users WHERE mobile = %s FOR UPDATE", (mobile,)),
        ("SELECT id FROM outbox WHERE type = %s AND body LIKE %s FOR UPDATE", (event, f"%{mobile[-4:]}%")),
        ("SELECT id FROM audit WHERE action = %s AND mobile_key = %s FOR UPDATE", (action, key)),
    ):
        counts.append(len(await database.fetch_all(sql, values)))
    return counts[0], counts[1], counts[2]


@pytest.mark.parametrize("delivered", [False, True], ids=["lost", "unanswered"])
@pytest.mark.parametrize("statement", REGISTRATION, ids=lambda statement: statement.strip("\x03"))
async def test_a_registration_is_whole_or_nothing(
    database: Database, mysql_url: str, statement: str, *, delivered: bool
) -> None:
    mobile = new_mobile()
    await cut_at(mysql_url, statement, lambda through: register(through, mobile), delivered=delivered)
    happened = int(delivered and statement == COMMIT)
    found = await settled(database, mobile, "user.registered.v1", "user.registered")
    assert found == (happened, happened, happened)
    if not happened:
        await register(database, mobile)


async def settled(database: Database, mobile: str, event: str, action: str) -> tuple[int, int, int]:
    for _ in range(20):
        try:
            return await records(database, mobile, event, action)
        except Unavailable:  # the server still waits for the broken connection's next statement
            await asyncio.sleep(0.1)
    raise AssertionError("a transaction stayed open")


@pytest.mark.parametrize("delivered", [False, True], ids=["lost", "unanswered"])
@pytest.mark.parametrize("statement", DELETION, ids=lambda statement: statement.strip("\x03"))
async def test_a_deletion_is_whole_or_nothing(
    database: Database, mysql_url: str, statement: str, *, delivered: bool
) -> None:
    mobile = new_mobile()
    user_id = await register(database, mobile)
    await cut_at(mysql_url, statement, lambda through: delete(through, user_id), delivered=delivered)
    happened = int(delivered and statement == COMMIT)
    accounts, _, entries = await settled(database, mobile, "user.registered.v1", "user.deleted")
    events = await database.fetch_all(
        "SELECT id FROM outbox WHERE type = 'user.deleted.v1' AND user_id = %s", (user_id,)
    )
    assert (accounts, entries, len(events)) == (1 - happened, happened, happened)
