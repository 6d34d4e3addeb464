"""Giving an account another number."""

from dataclasses import replace

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.errors import AlreadyRegistered
from services.auth.models import AuditEntry, Caller, Client
from services.auth.ports import Codes, Journal, Users
from services.auth.sessions.callers import locked
from shared.clock import Clock
from shared.contracts.events import MobileChanged
from shared.phone import mask_mobile


async def change_mobile(
    caller: Caller,
    mobile: str,
    code: str,
    client: Client,
    *,
    codes: Codes,
    users: Users,
    journal: Journal,
    clock: Clock,
) -> None:
    """Move the caller's account to a number whose code is right.

    Raises:
        InvalidCode: checked first, so that only the new number's owner learns whether it is taken.
        AlreadyRegistered: an account has the number, be it the caller's own.
        Unauthorized: the account has been deleted or disabled a moment ago.
        Unavailable: a dependency is down; the code still works.
    """

    async def change() -> None:
        now, user = clock(), await locked(caller, users)
        if user.mobile == mobile:
            raise AlreadyRegistered
        await users.save(replace(user, mobile=mobile))
        await journal.events.record(
            MobileChanged(user_id=user.id, occurred_at=now, mobile=mask_mobile(mobile))
        )
        await journal.audit.record(AuditEntry("mobile.changed", now, client, user.id, mobile))

    async with (
        refusals_audited("change_mobile", mobile, client, journal=journal, clock=clock),
        codes.consuming(mobile, "change_mobile", code, client.ip),
    ):
        await atomically(journal.transaction, change)
