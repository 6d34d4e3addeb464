"""Signing in with mobile and password."""

from functools import partial

from services.auth.domain import Client, SignedIn, User
from services.auth.errors import WrongCredentials
from services.auth.ports import Clock, Journal, Passwords, Sessions, Tokens, Users
from services.auth.rotation import SessionPolicy
from services.auth.session_opening import open_session
from services.auth.transactions import atomically
from shared.errors import Unavailable

_ATTEMPTS = 3


async def sign_in(
    mobile: str,
    password: str,
    client: Client,
    *,
    users: Users,
    passwords: Passwords,
    sessions: Sessions,
    tokens: Tokens,
    journal: Journal,
    policy: SessionPolicy,
    clock: Clock,
) -> SignedIn:
    """Open a session for the owner of an account.

    Unknown number, wrong password, disabled account and account without a password cost one bcrypt
    computation each and end alike (OWASP Authentication Cheat Sheet, "Authentication and Error
    Messages").

    Raises:
        WrongCredentials: for any of the four.
        Unavailable: a dependency is down, or too many checks are queued.
    """

    async def open_(checked: User) -> SignedIn | None:
        now = clock()
        user = await users.lock(checked.id)
        # The check took a while: the password that it was may be none any more.
        if user is None or (user.mobile, user.password_hash) != (mobile, checked.password_hash):
            return None
        if not user.enabled:
            return None
        return await open_session(
            user, client, now, method="password",
            sessions=sessions, tokens=tokens, journal=journal, policy=policy,
        )  # fmt: skip

    for _ in range(_ATTEMPTS):
        checked = await _check(mobile, password, users, passwords)
        if opened := await atomically(journal.transaction, partial(open_, checked)):
            return opened
    raise Unavailable


async def _check(mobile: str, password: str, users: Users, passwords: Passwords) -> User:
    user = await users.find_by_mobile(mobile)
    matches = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not matches or not user.enabled:
        raise WrongCredentials
    return user
