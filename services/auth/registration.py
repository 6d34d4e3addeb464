"""Registering an account with a code."""

from dataclasses import dataclass, field

from services.auth.domain import NewUser
from services.auth.ports import Clock, Codes, Passwords, Users


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client registers with; validated."""

    mobile: str
    code: str = field(repr=False)
    password: str = field(repr=False)
    nickname: str | None
    avatar: str | None


async def register(
    registration: Registration, *, codes: Codes, passwords: Passwords, users: Users, clock: Clock
) -> int:
    """Create the account of a number whose code is right, and return its id.

    Raises:
        InvalidCode: checked first, so that only the number's owner learns whether it is registered.
        AlreadyRegistered: the number has an account.
        Unavailable: a dependency is down; the code still works.
    """
    async with codes.consuming(registration.mobile, "register", registration.code):
        password_hash = await passwords.hash(registration.password)
        return await users.add(
            NewUser(
                mobile=registration.mobile,
                password_hash=password_hash,
                nickname=registration.nickname,
                avatar=registration.avatar,
                created_at=clock(),
            )
        )
