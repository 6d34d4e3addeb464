"""Erasing an account."""

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.models import AuditEntry, Caller, Client, User
from services.auth.ports import Codes, Journal, Sessions, Users
from services.auth.sessions.callers import locked
from shared.clock import Clock
from shared.contracts.events import UserDeleted


async def delete_account(
    caller: Caller,
    code: str,
    client: Client,
    *,
    codes: Codes,
    users: Users,
    sessions: Sessions,
    journal: Journal,
    clock: Clock,
) -> None:
    """Erase the caller's account, given a code that was sent to its number.

    Raises:
        InvalidCode: it is not right.
        Unauthorized: the account has been deleted or disabled a moment ago.
        Unavailable: a dependency is down; nothing was changed and the code still works.
    """

    async def delete() -> None:
        user = await locked(caller, users)
        await erase(user, client, users=users, sessions=sessions, journal=journal, clock=clock)

    mobile = caller.user.mobile
    async with (
        refusals_audited("delete", mobile, client, journal=journal, clock=clock),
        codes.consuming(mobile, "delete", code, client.ip),
    ):
        await atomically(journal.transaction, delete)


async def erase(
    user: User, client: Client, *, users: Users, sessions: Sessions, journal: Journal, clock: Clock
) -> None:
    """Erase an account in the current transaction, which holds its lock; its number is free again.

    What is left is the audit trail, in which a pseudonym stands for the number until the trail's own
    time is over.
    """
    now = clock()
    await sessions.end_all(user.id, keep=None, reason="deleted", now=now)
    await journal.audit.record(AuditEntry("user.deleted", now, client, user.id, user.mobile))
    await journal.audit.forget(user.id, user.mobile)
    await journal.events.record(UserDeleted(user_id=user.id, occurred_at=now))
    await users.remove(user.id)
