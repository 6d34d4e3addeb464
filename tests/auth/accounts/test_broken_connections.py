"""No account without its event and its audit entry, and none of these without it, wherever it is cut."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.errors import Unavailable
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, PASSWORD, AuthHarness
from tests.support.database import HookedDatabase
from tests.support.proxies import CuttingProxy

# As a connection sends them; 3 is the protocol's number for a statement.
BEGIN, COMMIT = "\x03BEGIN", "\x03COMMIT"
REGISTRATION = [BEGIN, "INSERT INTO `users`", "INSERT INTO `outbox`", "INSERT INTO `audit`", COMMIT]
DELETION = [
    BEGIN, "FROM `users`", "FROM `sessions`", "INSERT INTO `audit`", "UPDATE `audit`",
    "INSERT INTO `outbox`", "DELETE FROM `users`", COMMIT,
]  # fmt: skip
Change = Callable[[AuthHarness], Awaitable[object]]


async def cut_at(
    auth: AuthHarness, make_auth: MakeAuth, url: str, statement: str, change: Change, *, delivered: bool
) -> None:
    """Make a change over a connection that breaks at a statement."""
    async with CuttingProxy(url, BEGIN.encode(), statement.encode(), delivered=delivered) as proxy:
        database = HookedDatabase(proxy.url, pool_size=1)
        with pytest.raises(Unavailable):
            await change(make_auth(database=database, secret=auth.secret))
        await database.close()
        # The beginning alone is repeated, on another connection: nothing has been done before it.
        assert proxy.cuts == (2 if statement == BEGIN else 1)


async def records(auth: AuthHarness, event: str, action: str) -> tuple[int, int, int]:
    """Return the numbers of accounts, events and entries; the locking reads wait for open transactions."""
    mobile, key = auth.mobile, auth.keyed_hash.audit_mobile(auth.mobile)
    counts = []
    for sql, values in (
        ("SELECT id FROM users WHERE mobile = %s FOR UPDATE", (mobile,)),
        ("SELECT id FROM outbox WHERE type = %s AND body LIKE %s FOR UPDATE", (event, f"%{mobile[-4:]}%")),
        ("SELECT id FROM audit WHERE action = %s AND mobile_key = %s FOR UPDATE", (action, key)),
    ):
        counts.append(len(await auth.database.fetch_all(sql, values)))
    return counts[0], counts[1], counts[2]


async def settled(auth: AuthHarness, event: str, action: str) -> tuple[int, int, int]:
    """Return the records once the server has noticed that the connection is broken."""
    for _ in range(20):
        try:
            return await records(auth, event, action)
        except Unavailable:  # the server still waits for the broken connection's next statement
            await asyncio.sleep(0.1)
    raise AssertionError("a transaction stayed open")


@pytest.mark.parametrize("delivered", [False, True], ids=["lost", "unanswered"])
@pytest.mark.parametrize("statement", REGISTRATION, ids=lambda statement: statement.strip("\x03"))
async def test_a_registration_is_whole_or_nothing(
    auth: AuthHarness, make_auth: MakeAuth, mysql_url: str, statement: str, *, delivered: bool
) -> None:
    code = await auth.code("register")

    async def register(through: AuthHarness) -> None:
        await through.services.accounts.register(auth.mobile, code, PASSWORD, CLIENT)

    await cut_at(auth, make_auth, mysql_url, statement, register, delivered=delivered)
    happened = int(delivered and statement == COMMIT)
    found = await settled(auth, "user.registered.v1", "user.registered")
    assert found == (happened, happened, happened)
    if not happened:
        await register(auth)


@pytest.mark.parametrize("delivered", [False, True], ids=["lost", "unanswered"])
@pytest.mark.parametrize("statement", DELETION, ids=lambda statement: statement.strip("\x03"))
async def test_a_deletion_is_whole_or_nothing(
    auth: AuthHarness, make_auth: MakeAuth, mysql_url: str, statement: str, *, delivered: bool
) -> None:
    user = await auth.add_user()
    await cut_at(
        auth, make_auth, mysql_url, statement,
        lambda through: through.administration.delete(user.id, CLIENT), delivered=delivered,
    )  # fmt: skip
    happened = int(delivered and statement == COMMIT)
    accounts, _, entries = await settled(auth, "user.registered.v1", "user.deleted")
    events = [event.TYPE for event in await auth.events(user.id)]
    assert (accounts, entries) == (1 - happened, happened)
    assert events == ["user.deleted.v1"] * happened
