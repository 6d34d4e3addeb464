"""What users tell about themselves."""

from collections.abc import Mapping
from dataclasses import replace

from services.auth.db.transactions import atomically
from services.auth.models import AuditEntry, Caller, Client, ProfileMember, User
from services.auth.ports import Journal, Users
from services.auth.sessions.callers import locked
from shared.clock import Clock
from shared.contracts.events import ProfileChanged


async def change_profile(
    caller: Caller,
    changes: Mapping[ProfileMember, str | None],
    client: Client,
    *,
    users: Users,
    journal: Journal,
    clock: Clock,
) -> User:
    """Change what is named, None taking it away, and return the account.

    Raises:
        Unauthorized: the account has been deleted or disabled a moment ago.
        Unavailable: the database is down; nothing was changed.
    """

    async def change() -> User:
        now, user = clock(), await locked(caller, users)
        new = replace(
            user,
            nickname=changes.get("nickname", user.nickname),
            avatar=changes.get("avatar", user.avatar),
        )
        changed = [member for member in changes if getattr(new, member) != getattr(user, member)]
        if not changed:
            return user
        await users.save(new)
        await journal.events.record(ProfileChanged(user_id=user.id, occurred_at=now, members=changed))
        details = {"members": ", ".join(changed)}
        await journal.audit.record(AuditEntry("profile.changed", now, client, user.id, user.mobile, details))
        return new

    return await atomically(journal.transaction, change)
