"""Signing in with mobile and password."""

import asyncio
from functools import partial

import structlog

from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.errors import WrongCredentials
from services.auth.models import Client, SignedIn, User
from services.auth.ports import Journal, Passwords, Sessions, SignInGuard, Tokens, Users
from services.auth.sessions.rotation import SessionPolicy
from services.auth.sessions.session_opening import open_session
from shared.clock import Clock
from shared.errors import Unavailable

_ATTEMPTS = 3
_RENEWAL_SECONDS = 2.0

log = structlog.get_logger()


async def sign_in(
    mobile: str,
    password: str,
    client: Client,
    *,
    guard: SignInGuard,
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
    Messages"). What is throttled costs none.

    Raises:
        WrongCredentials: for any of the four.
        TooManyAttempts: after too many failures.
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

    async with (
        guard.attempt(mobile, client.ip),
        refusals_audited("login", mobile, client, journal=journal, clock=clock),
    ):
        for _ in range(_ATTEMPTS):
            checked = await _check(mobile, password, users, passwords)
            if opened := await atomically(journal.transaction, partial(open_, checked)):
                await _renew_hash(checked, password, users, passwords)
                return opened
        raise Unavailable


async def _renew_hash(user: User, password: str, users: Users, passwords: Passwords) -> None:
    """Hash the password with today's parameters where they have changed; the sign-in stands anyway."""
    if user.password_hash is None or not passwords.outdated(user.password_hash):
        return
    try:
        async with asyncio.timeout(_RENEWAL_SECONDS):
            renewed = await passwords.hash(password)
            await users.replace_password_hash(user.id, user.password_hash, renewed)
    except (Unavailable, TimeoutError) as error:
        log.warning("hash_not_renewed", error=type(error).__name__)


async def _check(mobile: str, password: str, users: Users, passwords: Passwords) -> User:
    user = await users.find_by_mobile(mobile)
    matches = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not matches or not user.enabled:
        raise WrongCredentials
    return user
