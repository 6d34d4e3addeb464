"""A user's own sessions: seeing and ending them."""

from services.auth.db.transactions import atomically
from services.auth.models import AuditEntry, Caller, Client, Session
from services.auth.ports import Journal, Sessions, Users
from shared.clock import Clock
from shared.contracts.events import EndReason
from shared.errors import NotFound


async def own_sessions(caller: Caller, *, sessions: Sessions, clock: Clock) -> list[Session]:
    """Return the caller's sessions, the one used last first."""
    return await sessions.of_user(caller.user.id, clock())


async def end_session(
    caller: Caller,
    session_id: str,
    client: Client,
    *,
    reason: EndReason,
    users: Users,
    sessions: Sessions,
    journal: Journal,
    clock: Clock,
) -> None:
    """End one of the caller's sessions.

    Raises:
        NotFound: the caller has none with this id, be it that another user has.
        Unavailable: the database is down; nothing was changed.
    """

    async def end() -> None:
        now, user = clock(), caller.user
        await users.lock(user.id)  # keeps the user's events in order
        if not await sessions.end(user.id, session_id, reason=reason, now=now):
            raise NotFound
        details = {"session_id": session_id, "reason": reason}
        await journal.audit.record(AuditEntry("session.ended", now, client, user.id, user.mobile, details))

    await atomically(journal.transaction, end)


async def end_others(
    caller: Caller, client: Client, *, users: Users, sessions: Sessions, journal: Journal, clock: Clock
) -> None:
    """End all of the caller's sessions but the one that asks.

    Raises:
        Unavailable: the database is down; nothing was changed.
    """

    async def end() -> None:
        now, user = clock(), caller.user
        await users.lock(user.id)
        ended = await sessions.end_all(user.id, keep=caller.session_id, reason="ended_by_user", now=now)
        details: dict[str, str | int] = {
            "sessions": ended,
            "kept": caller.session_id,
            "reason": "ended_by_user",
        }
        await journal.audit.record(AuditEntry("session.ended", now, client, user.id, user.mobile, details))

    await atomically(journal.transaction, end)
