"""The sessions on a real MariaDB."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.auth.accounts.disabling import disable
from services.auth.accounts.registration import Registration, register
from services.auth.accounts.repository import MysqlUsers
from services.auth.audit.repository import MysqlAudit
from services.auth.db.database import Database
from services.auth.errors import AlreadyRegistered, InvalidCode
from services.auth.models import Client, NewUser, SignedIn, User
from services.auth.outbox.events import MysqlEvents
from services.auth.ports import Journal
from services.auth.pseudonyms import Pseudonyms
from services.auth.sessions.repository import MysqlSessions
from services.auth.sign_in.code_sign_in import sign_in_with_code
from tests.support.client import new_mobile
from tests.support.desk import CLIENT, POLICY
from tests.support.fakes import FakeCodes, FakePasswords, FakeTokens, clock
from tests.support.session_rows import NOW, new_session


async def ended(database: Database, *ids: str) -> dict[str, datetime]:
    rows = await database.fetch_all("SELECT session_id, expires_at FROM ended_sessions", ())
    return {session_id: expires_at for session_id, expires_at in rows if session_id in ids}


async def test_a_session_is_read_as_it_was_written(sessions: MysqlSessions, user_id: int) -> None:
    session = new_session(user_id)
    await sessions.add(session)
    assert await sessions.lock(session.id) == session
    uses = tuple(NOW.replace(microsecond=0) + timedelta(milliseconds=250 * use) for use in range(16))
    used = replace(
        session, generation=16, refresh_hash="f" * 64, recent_uses=uses, client=Client("192.0.2.1", ""),
        last_used_at=NOW + timedelta(hours=1), expires_at=NOW + timedelta(days=8),
        access_expires_at=NOW + timedelta(hours=2),
    )  # fmt: skip
    await sessions.save(used)
    assert await sessions.lock(session.id) == used


async def test_living_sessions_are_listed_the_last_used_first(sessions: MysqlSessions, user_id: int) -> None:
    first, second = new_session(user_id), new_session(user_id)
    over = replace(new_session(user_id), expires_at=NOW)
    for session in (first, replace(second, last_used_at=NOW + timedelta(seconds=1)), over):
        await sessions.add(session)
    assert [session.id for session in await sessions.of_user(user_id, NOW)] == [second.id, first.id]


async def test_an_ended_session_is_gone_listed_as_ended_and_told_of(
    database: Database, sessions: MysqlSessions, user_id: int
) -> None:
    session = new_session(user_id)
    await sessions.add(session)
    async with database.transaction():
        assert await sessions.end(user_id, session.id, reason="signed_out", now=NOW)
    assert await sessions.lock(session.id) is None
    assert await ended(database, session.id) == {session.id: session.access_expires_at.replace(tzinfo=None)}
    told = await database.fetch_one("SELECT body FROM outbox WHERE user_id = %s", (user_id,))
    assert told is not None
    assert session.id in told[0]


async def test_another_users_session_is_not_ended(
    database: Database, sessions: MysqlSessions, user_id: int
) -> None:
    session = new_session(user_id)
    await sessions.add(session)
    assert not await sessions.end(user_id + 1, session.id, reason="ended_by_user", now=NOW)
    assert await sessions.lock(session.id) == session
    assert await ended(database, session.id) == {}


@pytest.mark.parametrize("keeps", [1, 0])
async def test_all_sessions_of_a_user_end_but_the_one_to_keep(
    database: Database, sessions: MysqlSessions, user_id: int, keeps: int
) -> None:
    own = [new_session(user_id) for _ in range(3)]
    for session in own:
        await sessions.add(session)
    keep = own[0].id if keeps else None
    count = await sessions.end_all(user_id, keep=keep, reason="password_reset", now=NOW)
    gone = {session.id for session in own if session.id != keep}
    assert count == len(gone)
    assert set(await ended(database, *(session.id for session in own))) == gone


async def test_an_end_that_is_rolled_back_has_not_happened(
    database: Database, sessions: MysqlSessions, user_id: int
) -> None:
    session = new_session(user_id)
    await sessions.add(session)

    async def end_and_fail() -> None:
        async with database.transaction():
            await sessions.end(user_id, session.id, reason="signed_out", now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await end_and_fail()
    assert await sessions.lock(session.id) == session
    assert await ended(database, session.id) == {}
    assert await database.fetch_one("SELECT 1 FROM outbox WHERE user_id = %s", (user_id,)) is None


async def test_a_users_session_names_the_user_until_it_ends(
    database: Database, sessions: MysqlSessions, user_id: int
) -> None:
    users, session = MysqlUsers(database), new_session(user_id)
    await sessions.add(session)
    found = await users.find_by_session(user_id, session.id)
    assert found is not None
    assert found.id == user_id
    assert await users.find_by_session(user_id + 1, session.id) is None
    await sessions.end(user_id, session.id, reason="disabled", now=NOW)
    assert await users.find_by_session(user_id, session.id) is None


async def test_registering_and_signing_in_with_codes_at_once_make_one_account(
    database: Database, sessions: MysqlSessions
) -> None:
    users, codes, mobile = MysqlUsers(database), FakeCodes(), new_mobile()
    journal = Journal(database.transaction, MysqlEvents(database), MysqlAudit(database, Pseudonyms("x" * 32)))

    async def sign_in() -> SignedIn:
        return await sign_in_with_code(
            mobile, "123456", CLIENT, creates_accounts=True, codes=codes, users=users, sessions=sessions,
            tokens=FakeTokens(), journal=journal, policy=POLICY, clock=clock,
        )  # fmt: skip

    async def sign_up() -> int:
        return await register(
            Registration(mobile, "123456", "correct horse", None, None), CLIENT,
            codes=codes, passwords=FakePasswords(), users=users, journal=journal, clock=clock,
        )  # fmt: skip

    results = await asyncio.gather(*(sign_in() for _ in range(8)), sign_up(), return_exceptions=True)
    opened = [result for result in results if isinstance(result, SignedIn)]
    assert len(opened) == 8
    assert len({one.user.id for one in opened}) == 1
    assert sum(one.created for one in opened) == isinstance(results[-1], AlreadyRegistered)
    told = await database.fetch_all(
        "SELECT type FROM outbox WHERE user_id = %s ORDER BY id", (opened[0].user.id,)
    )
    assert [row[0] for row in told] == ["user.registered.v1"] + ["session.started.v1"] * 8


async def test_nobody_is_signed_in_to_an_account_that_is_disabled_at_the_same_time(
    database: Database, sessions: MysqlSessions
) -> None:
    users = MysqlUsers(database)
    events = MysqlEvents(database)
    journal = Journal(database.transaction, events, MysqlAudit(database, Pseudonyms("x" * 32)))

    async def sign_in(mobile: str) -> SignedIn:
        return await sign_in_with_code(
            mobile, "123456", CLIENT, creates_accounts=False, codes=FakeCodes(), users=users,
            sessions=sessions, tokens=FakeTokens(), journal=journal, policy=POLICY, clock=clock,
        )  # fmt: skip

    for _ in range(5):
        mobile = new_mobile()
        user_id = await users.add(NewUser(mobile, None, None, None, NOW))
        results = await asyncio.gather(
            *(sign_in(mobile) for _ in range(4)),
            disable(user_id, CLIENT, users=users, sessions=sessions, journal=journal, clock=clock),
            *(sign_in(mobile) for _ in range(4)),
            return_exceptions=True,
        )
        assert await sessions.of_user(user_id, NOW) == []
        assert all(isinstance(result, SignedIn | InvalidCode | User) for result in results), results
