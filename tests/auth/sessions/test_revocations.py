"""The list of ended sessions, and what is removed from it, on a real MariaDB."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.auth.db.cleanup import tidy_up
from services.auth.db.database import Database
from services.auth.db.moments import naive
from services.auth.db.tables import EndedSessionRow
from services.auth.outbox.events import MysqlEvents
from services.auth.sessions.repository import MysqlSessions
from services.auth.sessions.revocations import EndedSessions
from shared.clock import now
from tests.support.session_rows import new_session

NOT_SHARED_SECONDS = 0.25


@pytest.fixture
async def elsewhere(mysql_url: str) -> AsyncIterator[Database]:
    """The database as another replica has it."""
    database = Database(mysql_url, pool_size=2)
    yield database
    await database.close()


async def opened(sessions: MysqlSessions, user_id: int, minutes: float = 15) -> str:
    """Store a session whose last access token has some minutes left, and return its id."""
    session = new_session(user_id, now())
    await sessions.add(replace(session, access_expires_at=now() + timedelta(minutes=minutes)))
    return session.id


async def end(sessions: MysqlSessions, user_id: int, session_id: str) -> None:
    assert await sessions.end(user_id, session_id, reason="signed_out", now=now())


async def test_an_ended_session_is_listed_until_its_last_token_ends(
    elsewhere: Database, sessions: MysqlSessions, user_id: int
) -> None:
    fresh = await opened(sessions, user_id)
    over = await opened(sessions, user_id, minutes=-5)
    for session_id in (fresh, over):
        await end(sessions, user_id, session_id)
    listed = await EndedSessions(elsewhere).all()
    assert fresh in listed
    assert over not in listed
    assert 0 <= listed[fresh] - (now() + timedelta(minutes=15)).timestamp() + 30 <= 60
    assert {fresh, over} <= (await EndedSessions(elsewhere).recent()).keys()


async def test_what_ended_a_while_ago_is_in_the_whole_list_alone(
    database: Database, elsewhere: Database, sessions: MysqlSessions, user_id: int
) -> None:
    session_id = await opened(sessions, user_id)
    await end(sessions, user_id, session_id)
    await backdate(database, session_id)
    ended = EndedSessions(elsewhere)
    assert session_id not in await ended.recent()
    assert session_id in await ended.all()


async def backdate(database: Database, session_id: str) -> None:
    moved = EndedSessionRow.update(ended_at=naive(now() - timedelta(minutes=1)))
    assert await database.update(moved.where(EndedSessionRow.session_id == session_id)) == 1


async def test_an_end_that_commits_after_a_later_one_was_seen_is_seen_as_well(
    database: Database, elsewhere: Database, sessions: MysqlSessions, user_id: int
) -> None:
    slow, quick = await opened(sessions, user_id), await opened(sessions, user_id)
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def end_slowly() -> None:
        async with database.transaction():
            await end(sessions, user_id, slow)
            written.set()
            await may_commit.wait()

    ending = asyncio.create_task(end_slowly())
    await written.wait()
    await end(MysqlSessions(elsewhere, MysqlEvents(elsewhere)), user_id, quick)
    ended = EndedSessions(elsewhere)
    first = await ended.recent()
    assert quick in first
    assert slow not in first
    may_commit.set()
    await ending
    await asyncio.sleep(NOT_SHARED_SECONDS)
    assert slow in await ended.recent()


async def test_what_has_run_out_is_removed_and_nothing_else(
    database: Database, sessions: MysqlSessions, user_id: int
) -> None:
    at = now()
    living, over = new_session(user_id, at), new_session(user_id, at)
    await sessions.add(living)
    await sessions.add(replace(over, expires_at=at - timedelta(seconds=1)))
    fresh, forgotten = await opened(sessions, user_id), await opened(sessions, user_id, minutes=-61)
    for session_id in (fresh, forgotten):
        await end(sessions, user_id, session_id)
    assert await tidy_up(database, now, timedelta(days=3650)) >= 2
    assert await sessions.lock(living.id) is not None
    assert await sessions.lock(over.id) is None
    rows = await database.fetch_all("SELECT session_id FROM ended_sessions", ())
    assert fresh in {row[0] for row in rows}
    assert forgotten not in {row[0] for row in rows}
