"""Registering an account with a code."""

from dataclasses import dataclass, field

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.models import AuditEntry, Client, NewUser
from services.auth.ports import Codes, Journal, Passwords, Users
from shared.clock import Clock
from shared.contracts.events import SignInMethod, UserRegistered
from shared.phone import mask_mobile


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client registers with; validated."""

    mobile: str
    code: str = field(repr=False)
    password: str = field(repr=False)
    nickname: str | None
    avatar: str | None


async def register(
    registration: Registration,
    client: Client,
    *,
    codes: Codes,
    passwords: Passwords,
    users: Users,
    journal: Journal,
    clock: Clock,
) -> int:
    """Create the account of a number whose code is right, and return its id.

    Raises:
        InvalidCode: checked first, so that only the number's owner learns whether it is registered.
        AlreadyRegistered: the number has an account.
        Unavailable: a dependency is down; the code still works.
    """
    mobile = registration.mobile
    async with (
        refusals_audited("register", mobile, client, journal=journal, clock=clock),
        codes.consuming(mobile, "register", registration.code, client.ip),
    ):
        user = NewUser(
            mobile=mobile,
            password_hash=await passwords.hash(registration.password),
            nickname=registration.nickname,
            avatar=registration.avatar,
            created_at=clock(),
        )
        return await atomically(
            journal.transaction,
            lambda: add_user(user, client, method="password", users=users, journal=journal),
        )


async def add_user(
    user: NewUser, client: Client, *, method: SignInMethod, users: Users, journal: Journal
) -> int:
    """Store an account with its records, in the caller's transaction, and return its id.

    Raises:
        AlreadyRegistered: the number has an account.
    """
    user_id = await users.add(user)
    await journal.events.record(
        UserRegistered(
            user_id=user_id, occurred_at=user.created_at, mobile=mask_mobile(user.mobile), method=method
        )
    )
    await journal.audit.record(
        AuditEntry("user.registered", user.created_at, client, user_id, user.mobile, {"method": method})
    )
    return user_id
