"""Accounts with more sessions than anybody needs: how many may be open, and how they all end."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from services.auth.db.cleanup import Cleanup
from services.auth.db.database import Database
from services.auth.errors import SessionEnded
from services.auth.models import Caller, SignedIn
from services.auth.sessions.revocations import Revocations
from shared.contracts.events import SessionEnded as SessionEndedEvent
from shared.contracts.events import decode_event
from shared.errors import Unauthorized
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, NEW_PASSWORD, AuthHarness
from tests.support.database import numbers
from tests.support.session_rows import new_session

MANY = 20_000
Act = Callable[[AuthHarness, Caller], Awaitable[object]]


async def open_many(database: Database, user_id: int, number: int, seed: str = "") -> None:
    """Store sessions as the versions without a limit let anybody open them."""
    await database.fetch_all(
        "INSERT INTO sessions (id, user_id, chain_key, refresh_hash, ip, user_agent, created_at, "
        "last_used_at, expires_at, access_expires_at) "
        "SELECT LEFT(SHA2(CONCAT(%s, '-', n), 256), 32), %s, REPEAT('0', 64), SHA2(n, 256), '192.0.2.1', "
        "'test', NOW(6), NOW(6), NOW(6) + INTERVAL 7 DAY, NOW(6) + INTERVAL 15 MINUTE "
        f"FROM ({numbers(number)}) numbers",
        (f"{user_id}{seed}", user_id),
    )


async def count(database: Database, table: str, user_id: int) -> int:
    row = await database.fetch_one(f"SELECT COUNT(*) FROM {table} WHERE user_id = %s", (user_id,))
    assert row is not None
    return int(row[0])


async def end_others(auth: AuthHarness, caller: Caller) -> None:
    await auth.services.sessions.end_others(caller, CLIENT)


async def reset(auth: AuthHarness, _caller: Caller) -> None:
    await auth.services.passwords.reset(auth.mobile, await auth.code("reset"), NEW_PASSWORD, CLIENT)


async def disable(auth: AuthHarness, caller: Caller) -> None:
    await auth.administration.disable(caller.user.id, CLIENT)


async def delete(auth: AuthHarness, caller: Caller) -> None:
    await auth.services.accounts.delete(caller, await auth.code("delete"), CLIENT)


ACTS: dict[str, tuple[Act, str, int]] = {
    "end others": (end_others, "ended_by_user", 1),
    "reset": (reset, "password_reset", 0),
    "disable": (disable, "disabled", 0),
    "delete": (delete, "deleted", 0),
}


@pytest.mark.parametrize("name", ACTS)
async def test_20000_sessions_end_with_an_event_each_and_at_every_gateway(
    auth: AuthHarness, name: str
) -> None:
    act, reason, kept = ACTS[name]
    await auth.add_user()
    caller = await auth.caller()
    user_id = caller.user.id
    await open_many(auth.database, user_id, MANY)
    statements: Counter[str] = Counter()

    async def count_statement(sql: str) -> None:
        statements[sql] += 1

    auth.database.before = count_statement
    await act(auth, caller)
    auth.database.before = None
    assert statements.total() < 20
    assert await count(auth.database, "sessions", user_id) == kept
    rows = await auth.database.fetch_all(
        "SELECT event_id, type, body FROM outbox WHERE user_id = %s AND type = 'session.ended.v1'", (user_id,)
    )
    events = [decode_event(event_type, body.encode()) for _, event_type, body in rows]
    assert {event.reason for event in events if isinstance(event, SessionEndedEvent)} == {reason}
    assert [event.event_id for event in events] == [event_id for event_id, _, _ in rows]
    assert len({event.event_id for event in events}) == MANY + 1 - kept
    ended = await Revocations(auth.database).recent()
    sessions = {event.session_id for event in events if isinstance(event, SessionEndedEvent)}
    assert sessions <= ended.keys()


async def test_more_sessions_than_a_transaction_has_time_for_end_all_the_same(auth: AuthHarness) -> None:
    user = await auth.add_user()
    signed_in = await auth.sign_in()
    for seed in ("first", "second"):
        await open_many(auth.database, user.id, 15_000, seed)
    auth.wait(seconds=60)  # the server's clock is ahead of the harness's
    await auth.administration.disable(user.id, CLIENT)
    await auth.administration.enable(user.id, CLIENT)
    assert await auth.session_ids(user.id) == set()
    with pytest.raises((SessionEnded, Unauthorized)):
        await auth.services.sessions.refresh(signed_in.refresh_token, CLIENT)
    left = await count(auth.database, "sessions", user.id)
    assert left > 0
    row = await auth.database.fetch_one("SELECT id FROM sessions WHERE user_id = %s LIMIT 1", (user.id,))
    assert row is not None
    assert row[0] in await Revocations(auth.database).recent()
    assert await auth.sessions.remove_marked(auth.now) == left
    assert await count(auth.database, "sessions", user.id) == 0


async def test_an_event_of_many_is_like_that_of_one(auth: AuthHarness) -> None:
    user = await auth.add_user()
    for _ in range(2):
        await auth.sessions.add(new_session(user.id, auth.now))
    await auth.sessions.end_all(user.id, keep=None, reason="password_reset", now=auth.now)
    rows = await auth.database.fetch_all("SELECT body FROM outbox WHERE user_id = %s", (user.id,))
    for (body,) in rows:
        document = json.loads(body)
        event = SessionEndedEvent.model_validate_json(body)
        assert json.loads(event.model_dump_json()) == document
        assert (event.occurred_at, event.user_id) == (auth.now, user.id)


async def test_the_101st_session_ends_the_least_recently_used_one(auth: AuthHarness) -> None:
    user = await auth.add_user()
    opened: list[SignedIn] = []
    for _ in range(3):
        auth.wait(seconds=1)
        opened.append(await auth.sign_in())
    for at in range(97):
        await auth.sessions.add(new_session(user.id, auth.now + timedelta(seconds=at / 100)))
    auth.wait(seconds=5)
    await auth.services.sessions.refresh(opened[0].refresh_token, CLIENT)
    auth.wait(seconds=1)
    newest = await auth.sign_in()
    ids = await auth.session_ids(user.id)
    assert len(ids) == 100
    assert {opened[0].session_id, opened[2].session_id, newest.session_id} <= ids
    assert opened[1].session_id not in ids
    ended = [event for event in await auth.events(user.id) if isinstance(event, SessionEndedEvent)]
    assert [(event.session_id, event.reason, event.cause) for event in ended] == [
        (opened[1].session_id, "ended_by_user", "too_many_sessions")
    ]
    assert opened[1].session_id in await Revocations(auth.database).recent()


async def test_parallel_sign_ins_keep_the_limit(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"max_sessions": 5, "sign_in_limit_account": "1000000/hour"})
    user = await auth.add_user()
    await asyncio.gather(*(auth.sign_in() for _ in range(12)))
    assert len(await auth.session_ids(user.id)) == 5


async def test_a_mark_ends_sessions_whose_rows_are_still_there(auth: AuthHarness) -> None:
    signed_in = await sign_in_new(auth)
    kept = await auth.sign_in()
    user_id = signed_in.user.id
    auth.wait(seconds=1)
    await mark(auth, user_id, kept.session_id)
    with pytest.raises(Unauthorized):
        await auth.services.sessions.authenticate(signed_in.token)
    with pytest.raises(SessionEnded):
        await auth.services.sessions.refresh(signed_in.refresh_token, CLIENT)
    assert await auth.services.sessions.authenticate(kept.token)
    assert await auth.services.sessions.refresh(kept.refresh_token, CLIENT)
    revocations = Revocations(auth.database)
    for listed in (await revocations.recent(), await revocations.all()):
        assert signed_in.session_id in listed
        assert kept.session_id not in listed
    assert await auth.session_ids(user_id) == {kept.session_id}
    assert await auth.sign_in()


async def sign_in_new(auth: AuthHarness) -> SignedIn:
    await auth.add_user()
    return await auth.sign_in()


async def mark(auth: AuthHarness, user_id: int, kept: str) -> None:
    await auth.database.fetch_all(
        "UPDATE users SET sessions_valid_from = %s, sessions_kept = %s, "
        "sessions_end_cause = 'password_changed' WHERE id = %s",
        (auth.now.replace(tzinfo=None), kept, user_id),
    )


async def test_rows_that_a_mark_has_ended_are_removed_with_their_events(auth: AuthHarness) -> None:
    signed_in = await sign_in_new(auth)
    kept = await auth.sign_in()
    user_id = signed_in.user.id
    auth.wait(seconds=1)
    await mark(auth, user_id, kept.session_id)
    later = await auth.sign_in()
    cleanup = Cleanup(auth.database, timedelta(days=3650), lambda: auth.now, auth.sessions.remove_marked)
    assert await cleanup.remove_expired() >= 1
    assert await auth.sessions.lock(signed_in.session_id) is None
    assert await auth.session_ids(user_id) == {kept.session_id, later.session_id}
    ended = [event for event in await auth.events(user_id) if isinstance(event, SessionEndedEvent)]
    assert [(event.session_id, event.reason) for event in ended] == [
        (signed_in.session_id, "password_changed")
    ]


async def test_a_session_opened_by_a_slow_clock_after_the_mark_lives(auth: AuthHarness) -> None:
    user = await auth.add_user()
    await auth.sign_in()
    await auth.sessions.end_all(user.id, keep=None, reason="password_reset", now=auth.now)
    auth.wait(seconds=-2)
    opened = await auth.sign_in()
    assert await auth.services.sessions.authenticate(opened.token)


async def test_clean_up_goes_on_until_nothing_is_left(auth: AuthHarness) -> None:
    user = await auth.add_user()
    await open_many(auth.database, user.id, 2500)
    auth.wait(days=8)
    cleanup = Cleanup(auth.database, timedelta(days=3650), lambda: auth.now)
    assert await cleanup.remove_expired() >= 2500
    assert await count(auth.database, "sessions", user.id) == 0


async def test_a_session_of_an_account_that_was_marked_is_read_as_written(auth: AuthHarness) -> None:
    user = await auth.add_user()
    session = replace(new_session(user.id, auth.now), authenticated_at=auth.now)
    await auth.sessions.add(session)
    assert await auth.sessions.lock(session.id) == session
    assert await auth.sessions.proven_at(session.id) == auth.now
