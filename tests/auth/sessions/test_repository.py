"""The sessions in MySQL, and races for them."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.errors import AlreadyRegistered, WrongCredentials
from services.auth.models import Client, SignedIn, User
from services.auth.sessions.repository import SessionRepository
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, PASSWORD, AuthHarness
from tests.support.client import new_mobile
from tests.support.session_rows import NOW, new_session


async def ended(database: Database, *ids: str) -> dict[str, datetime]:
    rows = await database.fetch_all("SELECT session_id, expires_at FROM ended_sessions", ())
    return {session_id: expires_at for session_id, expires_at in rows if session_id in ids}


async def test_a_session_is_read_as_it_was_written(sessions: SessionRepository, user_id: int) -> None:
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


async def test_valid_sessions_are_listed_most_recently_used_first(
    sessions: SessionRepository, user_id: int
) -> None:
    first, second = new_session(user_id), new_session(user_id)
    over = replace(new_session(user_id), expires_at=NOW)
    for session in (first, replace(second, last_used_at=NOW + timedelta(seconds=1)), over):
        await sessions.add(session)
    assert [session.id for session in await sessions.list_of_user(user_id, NOW)] == [second.id, first.id]


async def test_an_ended_session_is_removed_listed_as_ended_and_published(
    database: Database, sessions: SessionRepository, user_id: int
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
    database: Database, sessions: SessionRepository, user_id: int
) -> None:
    session = new_session(user_id)
    await sessions.add(session)
    assert not await sessions.end(user_id + 1, session.id, reason="ended_by_user", now=NOW)
    assert await sessions.lock(session.id) == session
    assert await ended(database, session.id) == {}


@pytest.mark.parametrize("keeps", [1, 0])
async def test_all_sessions_of_a_user_end_but_the_one_to_keep(
    database: Database, sessions: SessionRepository, user_id: int, keeps: int
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
    database: Database, sessions: SessionRepository, user_id: int
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
    database: Database, sessions: SessionRepository, user_id: int
) -> None:
    users, session = UserRepository(database), new_session(user_id)
    await sessions.add(session)
    found = await users.find_by_session(user_id, session.id)
    assert found is not None
    assert found.id == user_id
    assert await users.find_by_session(user_id + 1, session.id) is None
    await sessions.end(user_id, session.id, reason="disabled", now=NOW)
    assert await users.find_by_session(user_id, session.id) is None


async def test_registering_and_signing_in_with_codes_at_once_create_one_account(
    auth: AuthHarness, make_auth: MakeAuth
) -> None:
    mobile = auth.mobile
    # Each with a secret of its own and so with a valid code of its own, which is used once.
    replicas = [make_auth() for _ in range(8)]
    codes = [await replica.code("login", mobile) for replica in replicas]
    sign_ins = (
        replica.services.sign_in.with_code(mobile, code, CLIENT)
        for replica, code in zip(replicas, codes, strict=True)
    )
    sign_up = auth.services.accounts.register(mobile, await auth.code("register"), PASSWORD, CLIENT)
    results = await asyncio.gather(*sign_ins, sign_up, return_exceptions=True)
    opened = [result for result in results if isinstance(result, SignedIn)]
    assert len(opened) == 8
    assert len({one.user.id for one in opened}) == 1
    assert sum(one.created for one in opened) == isinstance(results[-1], AlreadyRegistered)
    events = [event.TYPE for event in await auth.events(opened[0].user.id)]
    assert events == ["user.registered.v1"] + ["session.started.v1"] * 8


async def test_nobody_is_signed_in_to_an_account_that_is_disabled_at_the_same_time(
    auth: AuthHarness,
) -> None:
    for _ in range(5):
        user = await auth.add_user(new_mobile())
        sign_ins = [auth.sign_in(mobile=user.mobile) for _ in range(8)]
        results = await asyncio.gather(
            *sign_ins[:4], auth.administration.disable(user.id, CLIENT), *sign_ins[4:], return_exceptions=True
        )
        assert await auth.session_ids(user.id) == set()
        assert all(isinstance(result, SignedIn | WrongCredentials | User) for result in results), results
