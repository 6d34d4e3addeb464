"""Taking an account out of use, and back into it."""

from dataclasses import replace
from datetime import datetime

from services.auth.db.transactions import atomically
from services.auth.models import AuditEntry, Client, User
from services.auth.ports import Journal, Sessions, Users
from shared.clock import Clock
from shared.contracts.events import UserDisabled, UserEnabled
from shared.errors import NotFound


async def disable(
    user_id: int, client: Client, *, users: Users, sessions: Sessions, journal: Journal, clock: Clock
) -> User:
    """Disable an account, end its sessions and return it; a disabled one stays as it is.

    Raises:
        NotFound: there is no such account.
        Unavailable: the database is down; nothing was changed.
    """

    async def change() -> User:
        now, user = clock(), await _locked(user_id, users)
        if not user.enabled:
            return user
        ended = await sessions.end_all(user.id, keep=None, reason="disabled", now=now)
        await journal.events.record(UserDisabled(user_id=user.id, occurred_at=now))
        details = {"sessions": ended}
        await journal.audit.record(AuditEntry("user.disabled", now, client, user.id, user.mobile, details))
        return await _save(user, now, users)

    return await atomically(journal.transaction, change)


async def enable(user_id: int, client: Client, *, users: Users, journal: Journal, clock: Clock) -> User:
    """Enable an account and return it; an enabled one stays as it is.

    Raises:
        NotFound: there is no such account.
        Unavailable: the database is down; nothing was changed.
    """

    async def change() -> User:
        now, user = clock(), await _locked(user_id, users)
        if user.enabled:
            return user
        await journal.events.record(UserEnabled(user_id=user.id, occurred_at=now))
        await journal.audit.record(AuditEntry("user.enabled", now, client, user.id, user.mobile))
        return await _save(user, None, users)

    return await atomically(journal.transaction, change)


async def _locked(user_id: int, users: Users) -> User:
    user = await users.lock(user_id)
    if user is None:
        raise NotFound
    return user


async def _save(user: User, disabled_at: datetime | None, users: Users) -> User:
    changed = replace(user, disabled_at=disabled_at)
    await users.save(changed)
    return changed
