"""A new password for who knows the old one."""

from dataclasses import replace

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.errors import PersonalPassword, WrongPassword
from services.auth.models import AuditEntry, Caller, Client, User
from services.auth.ports import Journal, Passwords, Sessions, SignInGuard, Users
from services.auth.sessions.callers import locked
from shared.clock import Clock
from shared.contracts.events import PasswordChanged


async def change_password(
    caller: Caller,
    old_password: str,
    password: str,
    client: Client,
    *,
    guard: SignInGuard,
    passwords: Passwords,
    users: Users,
    sessions: Sessions,
    journal: Journal,
    clock: Clock,
) -> None:
    """Set the caller's password and end the caller's other sessions.

    Raises:
        WrongPassword: the old one is not the account's, which may have none.
        TooManyAttempts: after too many wrong ones, here or at signing in.
        PersonalPassword: it is the account's number or nickname.
        Unauthorized: the account has been deleted or disabled a moment ago.
        Unavailable: a dependency is down, or too many checks are queued; nothing was changed.
    """

    async def change(password_hash: str) -> None:
        now, user = clock(), await locked(caller, users)
        # The checks took a while: a reset may have come in between, and is not undone.
        if user.password_hash != caller.user.password_hash:
            raise WrongPassword
        await users.save(replace(user, password_hash=password_hash))
        ended = await sessions.end_all(user.id, keep=caller.session_id, reason="password_changed", now=now)
        await journal.events.record(PasswordChanged(user_id=user.id, occurred_at=now, method="change"))
        details = {"method": "change", "sessions": ended}
        await journal.audit.record(AuditEntry("password.changed", now, client, user.id, user.mobile, details))

    refuse_personal(password, caller.user)
    mobile = caller.user.mobile
    async with (
        guard.attempt(mobile, client.ip),
        refusals_audited("change_password", mobile, client, journal=journal, clock=clock),
    ):
        if not await passwords.verify(old_password, caller.user.password_hash):
            raise WrongPassword
        password_hash = await passwords.hash(password)
        await atomically(journal.transaction, lambda: change(password_hash))


def refuse_personal(password: str, user: User) -> None:
    """Refuse a password that anybody who knows the user would try first.

    Raises:
        PersonalPassword: it is the account's number or nickname.
    """
    if password.casefold() in {user.mobile, (user.nickname or user.mobile).casefold()}:
        raise PersonalPassword
