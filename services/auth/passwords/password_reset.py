"""A new password for who has lost the old one, or never had one."""

from dataclasses import replace

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.errors import InvalidCode
from services.auth.models import AuditEntry, Client
from services.auth.passwords.password_change import refuse_personal
from services.auth.ports import Codes, Journal, Passwords, Sessions, Users
from shared.clock import Clock
from shared.contracts.events import PasswordChanged


async def reset_password(
    mobile: str,
    code: str,
    password: str,
    client: Client,
    *,
    codes: Codes,
    passwords: Passwords,
    users: Users,
    sessions: Sessions,
    journal: Journal,
    clock: Clock,
) -> None:
    """Set the password of the number whose code is right, and end every session of its account.

    The account is looked up before the code is looked at, and nothing is hashed before both are
    there: a refusal takes the same steps whether or not there is an account.

    Raises:
        InvalidCode: also for a number without an account, and for a disabled one.
        PersonalPassword: it is the account's nickname; the code still works.
        Unavailable: a dependency is down; the code still works.
    """

    async def reset(user_id: int, password_hash: str) -> None:
        now, user = clock(), await users.lock(user_id)
        if user is None or user.mobile != mobile or not user.enabled:
            raise InvalidCode
        await users.save(replace(user, password_hash=password_hash))
        ended = await sessions.end_all(user.id, keep=None, reason="password_reset", now=now)
        await journal.events.record(PasswordChanged(user_id=user.id, occurred_at=now, method="reset"))
        details = {"method": "reset", "sessions": ended}
        await journal.audit.record(AuditEntry("password.changed", now, client, user.id, mobile, details))

    async with refusals_audited("reset", mobile, client, journal=journal, clock=clock):
        known = await users.find_by_mobile(mobile)
        async with codes.consuming(mobile, "reset", code, client.ip):
            if known is None or not known.enabled:
                raise InvalidCode
            refuse_personal(password, known)
            password_hash = await passwords.hash(password)
            await atomically(journal.transaction, lambda: reset(known.id, password_hash))
