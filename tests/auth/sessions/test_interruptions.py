"""Every change of sessions, interrupted at each of its statements: it happened as a whole, or not at all."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.auth.errors import SessionEnded
from services.auth.models import Caller, SignedIn
from shared.errors import Unavailable
from tests.support.auth import CLIENT, AuthHarness

TABLES = {
    "users": "SELECT id FROM users WHERE id = %s",
    "sessions": "SELECT id, generation, refresh_hash FROM sessions WHERE user_id = %s ORDER BY id",
    "ended": "SELECT session_id FROM ended_sessions JOIN outbox ON body LIKE CONCAT('%%', session_id, '%%') "
    "WHERE user_id = %s AND type = 'session.ended.v1'",
    "events": "SELECT event_id FROM outbox WHERE user_id = %s",
    "audit": "SELECT id FROM audit WHERE user_id = %s",
}


class Interruption:
    """Kills the connection before one of the next statements, `remaining` statements from now.

    The server then rolls back their transaction, as it does when the process is killed.
    """

    def __init__(self, auth: AuthHarness) -> None:
        self.auth = auth
        self.remaining: int | None = None
        auth.database.before = self.before

    async def before(self, _sql: str) -> None:
        if self.remaining is None:
            return
        if self.remaining:
            self.remaining -= 1
            return
        self.remaining = None
        await self.auth.database.fetch_one("KILL CONNECTION_ID()", ())

    async def state(self, user_id: int) -> dict[str, list[tuple[Any, ...]]]:
        return {name: await self.auth.database.fetch_all(sql, (user_id,)) for name, sql in TABLES.items()}

    async def interrupted(self, act: Callable[[], Awaitable[object]], user_id: int) -> int:
        """Interrupt an act at each statement in turn until it succeeds; return how often it failed."""
        interruptions = 0
        for statements in range(50):
            before = await self.state(user_id)
            self.remaining = statements
            try:
                await act()
            except Unavailable:
                interruptions += 1
                assert await self.state(user_id) == before
            else:
                survived, self.remaining = self.remaining is not None, None
                assert await self.state(user_id) != before
                if survived:
                    return interruptions
        raise AssertionError("it never succeeded")


@pytest.fixture
def interruption(auth: AuthHarness) -> Interruption:
    return Interruption(auth)


async def test_signing_in(auth: AuthHarness, interruption: Interruption, signed_in: SignedIn) -> None:
    assert await interruption.interrupted(auth.sign_in, signed_in.user.id) >= 4


async def test_refreshing(auth: AuthHarness, interruption: Interruption, signed_in: SignedIn) -> None:
    token = signed_in.refresh_token
    assert await interruption.interrupted(lambda: auth.refresh(token), signed_in.user.id) >= 3
    repeated = await auth.refresh(token)
    assert (await auth.refresh(repeated.refresh_token)).session_id == signed_in.session_id


async def test_reusing_an_old_token(
    auth: AuthHarness, interruption: Interruption, signed_in: SignedIn
) -> None:
    current = await auth.refresh((await auth.refresh(signed_in.refresh_token)).refresh_token)
    auth.wait(minutes=1)

    async def reuse() -> None:
        with pytest.raises(SessionEnded):
            await auth.refresh(signed_in.refresh_token)

    assert await interruption.interrupted(reuse, signed_in.user.id) >= 7
    with pytest.raises(SessionEnded):
        await auth.refresh(current.refresh_token)


async def test_ending_a_session(auth: AuthHarness, interruption: Interruption, signed_in: SignedIn) -> None:
    caller = Caller(signed_in.user, signed_in.session_id)

    async def end() -> None:
        await auth.services.sessions.end(caller, signed_in.session_id, CLIENT, "signed_out")

    assert await interruption.interrupted(end, signed_in.user.id) >= 6


async def test_ending_the_other_sessions(
    auth: AuthHarness, interruption: Interruption, signed_in: SignedIn
) -> None:
    for _ in range(2):
        await auth.sign_in()
    caller = Caller(signed_in.user, signed_in.session_id)

    async def end() -> None:
        await auth.services.sessions.end_others(caller, CLIENT)

    assert await interruption.interrupted(end, signed_in.user.id) >= 7
