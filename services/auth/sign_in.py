"""Signing in with mobile and password."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from services.auth.domain import Client, NewSession, SignedIn, User
from services.auth.errors import WrongCredentials
from services.auth.ports import Clock, Passwords, Sessions, Tokens, Users


@dataclass(frozen=True, slots=True)
class TokenLifetimes:
    """Lifetimes in seconds."""

    access: int
    refresh: int


async def sign_in(
    mobile: str,
    password: str,
    client: Client,
    *,
    users: Users,
    passwords: Passwords,
    sessions: Sessions,
    tokens: Tokens,
    lifetimes: TokenLifetimes,
    clock: Clock,
) -> SignedIn:
    """Open a session for the owner of an account.

    Unknown number, wrong password and disabled account cost one bcrypt computation each and end
    alike (OWASP Authentication Cheat Sheet, "Authentication and Error Messages").

    Raises:
        WrongCredentials: for any of the three.
        Unavailable: a dependency is down, or too many checks are queued.
    """
    user = await users.find_by_mobile(mobile)
    matches = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not matches or not user.enabled:
        raise WrongCredentials
    return await _open_session(
        user, client, sessions=sessions, tokens=tokens, lifetimes=lifetimes, clock=clock
    )


async def _open_session(
    user: User,
    client: Client,
    *,
    sessions: Sessions,
    tokens: Tokens,
    lifetimes: TokenLifetimes,
    clock: Clock,
) -> SignedIn:
    now = clock()
    refresh_token = secrets.token_urlsafe(32)
    session = NewSession(
        id=secrets.token_hex(16),
        user_id=user.id,
        # 256 random bits need no slow hash.
        refresh_hash=hashlib.sha256(refresh_token.encode()).hexdigest(),
        client=client,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetimes.refresh),
    )
    await sessions.add(session)
    return SignedIn(
        user=user,
        session_id=session.id,
        token=tokens.issue(user, session.id, now),
        expires_in=lifetimes.access,
        refresh_token=refresh_token,
        refresh_expires_in=lifetimes.refresh,
    )
