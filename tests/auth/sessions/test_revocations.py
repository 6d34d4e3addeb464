"""The list of ended sessions, and what is removed from it, on a real MariaDB."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.auth.db.cleanup import Cleanup
from services.auth.db.database import Database
from services.auth.db.tables import EndedSessionRow, to_column
from services.auth.outbox.repository import OutboxRepository
from services.auth.sessions.repository import SessionRepository
from services.auth.sessions.revocations import Revocations
from shared.clock import now
from tests.support.session_rows import new_session

COALESCED_SECONDS = 0.25


@pytest.fixture
async def elsewhere(mysql_url: str) -> AsyncIterator[Database]:
    """The database as another replica has it."""
    database = Database(mysql_url, pool_size=2)
    yield database
    await database.close()


async def opened(sessions: SessionRepository, user_id: int, minutes: float = 15) -> str:
    """Store a session whose last access token has some minutes left, and return its id."""
    session = new_session(user_id, now())
    await sessions.add(replace(session, access_expires_at=now() + timedelta(minutes=minutes)))
    return session.id


async def end(sessions: SessionRepository, user_id: int, session_id: str) -> None:
    assert await sessions.end(user_id, session_id, reason="signed_out", now=now())


async def test_an_ended_session_is_listed_until_its_last_token_ends(
    elsewhere: Database, sessions: SessionRepository, user_id: int
) -> None:
    fresh = await opened(sessions, user_id)
    over = await opened(sessions, user_id, minutes=-5)
    for session_id in (fresh, over):
        await end(sessions, user_id, session_id)
    listed = await Revocations(elsewhere).all()
    assert fresh in listed
    assert over not in listed
    assert 0 <= listed[fresh] - (now() + timedelta(minutes=15)).timestamp() + 30 <= 60
    assert {fresh, over} <= (await Revocations(elsewhere).recent()).keys()


async def test_what_ended_a_while_ago_is_in_the_whole_list_alone(
    database: Database, elsewhere: Database, sessions: SessionRepository, user_id: int
) -> None:
    session_id = await opened(sessions, user_id)
    await end(sessions, user_id, session_id)
    await backdate(database, session_id)
    ended = Revocations(elsewhere)
    assert session_id not in await ended.recent()
    assert session_id in await ended.all()


async def backdate(database: Database, session_id: str) -> None:
    moved = EndedSessionRow.update(ended_at=to_column(now() - timedelta(minutes=1)))
    assert await database.update(moved.where(EndedSessionRow.session_id == session_id)) == 1


async def test_an_end_that_commits_after_a_later_one_was_seen_is_seen_as_well(
    database: Database, elsewhere: Database, sessions: SessionRepository, user_id: int
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
    await end(SessionRepository(elsewhere, OutboxRepository(elsewhere)), user_id, quick)
    ended = Revocations(elsewhere)
    first = await ended.recent()
    assert quick in first
    assert slow not in first
    may_commit.set()
    await ending
    await asyncio.sleep(COALESCED_SECONDS)
    assert slow in await ended.recent()


async def test_what_has_run_out_is_removed_and_nothing_else(
    database: Database, sessions: SessionRepository, user_id: int
) -> None:
    at = now()
    living, over = new_session(user_id, at), new_session(user_id, at)
    await sessions.add(living)
    await sessions.add(replace(over, expires_at=at - timedelta(seconds=1)))
    fresh, forgotten = await opened(sessions, user_id), await opened(sessions, user_id, minutes=-61)
    for session_id in (fresh, forgotten):
        await end(sessions, user_id, session_id)
    assert await Cleanup(database, timedelta(days=3650), now).remove_expired() >= 2
    assert await sessions.lock(living.id) is not None
    assert await sessions.lock(over.id) is None
    rows = await database.fetch_all("SELECT session_id FROM ended_sessions", ())
    assert fresh in {row[0] for row in rows}
    assert forgotten not in {row[0] for row in rows}
