"""Every change of sessions, broken off at each of its statements: it has happened as a whole, or not."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from peewee_async.databases import FetchResults

from services.auth.accounts.repository import MysqlUsers
from services.auth.audit.repository import MysqlAudit
from services.auth.db.database import Database
from services.auth.errors import SessionOver
from services.auth.models import Caller, SignedIn
from services.auth.outbox.events import MysqlEvents
from services.auth.ports import Journal
from services.auth.pseudonyms import Pseudonyms
from services.auth.sessions.refreshing import refresh
from services.auth.sessions.repository import MysqlSessions
from services.auth.sessions.session_ending import end_others, end_session
from services.auth.sign_in.code_sign_in import sign_in_with_code
from shared.clock import now
from shared.errors import Unavailable
from tests.support.client import new_mobile
from tests.support.desk import CLIENT, POLICY
from tests.support.fakes import FakeCodes, FakeTokens

TABLES = {
    "users": "SELECT id FROM users WHERE id = %s",
    "sessions": "SELECT id, generation, refresh_hash FROM sessions WHERE user_id = %s ORDER BY id",
    "ended": "SELECT session_id FROM ended_sessions JOIN outbox ON body LIKE CONCAT('%%', session_id, '%%') "
    "WHERE user_id = %s AND type = 'session.ended.v1'",
    "events": "SELECT event_id FROM outbox WHERE user_id = %s",
    "audit": "SELECT id FROM audit WHERE user_id = %s",
}


class MortalDatabase(Database):
    """Loses its connection instead of running one of its statements, `lives` statements from now.

    The server then drops what they were part of, as it does when the process is killed.
    """

    lives: int | None = None

    async def _run(self, sql: str, values: Sequence[object], result: FetchResults) -> Any:
        if self.lives == 0:
            self.lives = None
            await super()._run("KILL CONNECTION_ID()", (), result)
        if self.lives is not None:
            self.lives -= 1
        return await super()._run(sql, values, result)


@dataclass
class Office:
    """Sessions on a database that can be lost."""

    database: MortalDatabase
    mobile: str

    def __post_init__(self) -> None:
        self.users = MysqlUsers(self.database)
        events = MysqlEvents(self.database)
        self.sessions = MysqlSessions(self.database, events)
        audit = MysqlAudit(self.database, Pseudonyms("x" * 32))
        self.journal = Journal(self.database.transaction, events, audit)
        self.late = timedelta(0)

    async def sign_in(self) -> SignedIn:
        return await sign_in_with_code(
            self.mobile, "123456", CLIENT, creates_accounts=True, codes=FakeCodes(), users=self.users,
            sessions=self.sessions, tokens=FakeTokens(), journal=self.journal, policy=POLICY, clock=now,
        )  # fmt: skip

    async def refresh(self, token: str) -> SignedIn:
        return await refresh(
            token, CLIENT, sessions=self.sessions, users=self.users, tokens=FakeTokens(),
            journal=self.journal, policy=POLICY, clock=lambda: now() + self.late,
        )  # fmt: skip

    async def state(self, user_id: int) -> dict[str, list[tuple[Any, ...]]]:
        return {name: await self.database.fetch_all(sql, (user_id,)) for name, sql in TABLES.items()}

    async def interrupted(self, act: Callable[[], Awaitable[object]], user_id: int) -> int:
        """Break an act off at each statement in turn until it gets through; return how often."""
        interruptions = 0
        for lives in range(50):
            before = await self.state(user_id)
            self.database.lives = lives
            try:
                await act()
            except Unavailable:
                interruptions += 1
                assert await self.state(user_id) == before
            else:
                survived, self.database.lives = self.database.lives is not None, None
                assert await self.state(user_id) != before
                if survived:
                    return interruptions
        raise AssertionError("it never got through")


@pytest.fixture
async def office(mysql_url: str) -> AsyncIterator[Office]:
    database = MortalDatabase(mysql_url, pool_size=1)
    yield Office(database, new_mobile())
    await database.close()


async def test_signing_in(office: Office) -> None:
    user_id = (await office.sign_in()).user.id
    assert await office.interrupted(office.sign_in, user_id) >= 4


async def test_refreshing(office: Office) -> None:
    opened = await office.sign_in()
    assert await office.interrupted(lambda: office.refresh(opened.refresh_token), opened.user.id) >= 3
    repeated = await office.refresh(opened.refresh_token)
    assert (await office.refresh(repeated.refresh_token)).session_id == opened.session_id


async def test_using_an_old_token(office: Office) -> None:
    opened = await office.sign_in()
    current = await office.refresh(opened.refresh_token)
    office.late = timedelta(minutes=1)

    async def reuse() -> None:
        with pytest.raises(SessionOver):
            await office.refresh(opened.refresh_token)

    assert await office.interrupted(reuse, opened.user.id) >= 7
    with pytest.raises(SessionOver):
        await office.refresh(current.refresh_token)


async def test_ending_a_session(office: Office) -> None:
    opened = await office.sign_in()

    async def end() -> None:
        await end_session(
            Caller(opened.user, opened.session_id), opened.session_id, CLIENT, reason="signed_out",
            users=office.users, sessions=office.sessions, journal=office.journal, clock=now,
        )  # fmt: skip

    assert await office.interrupted(end, opened.user.id) >= 6


async def test_ending_the_other_sessions(office: Office) -> None:
    current, *_ = [await office.sign_in() for _ in range(3)]

    async def end() -> None:
        await end_others(
            Caller(current.user, current.session_id), CLIENT,
            users=office.users, sessions=office.sessions, journal=office.journal, clock=now,
        )  # fmt: skip

    assert await office.interrupted(end, current.user.id) >= 7
