"""Opening a session, and what a client is told about one."""

from datetime import datetime, timedelta

from services.auth.models import AuditEntry, Client, Session, SignedIn, User
from services.auth.ports import Journal, Sessions, Tokens
from services.auth.sessions.refresh_tokens import Chain, RefreshToken, new_chain_key, new_session_id
from services.auth.sessions.rotation import SessionPolicy
from shared.contracts.events import SessionStarted, SignInMethod


async def open_session(
    user: User,
    client: Client,
    now: datetime,
    *,
    method: SignInMethod,
    sessions: Sessions,
    tokens: Tokens,
    journal: Journal,
    policy: SessionPolicy,
) -> SignedIn:
    """Store a session with its records, in the caller's transaction, which holds the user's lock.

    The lock is what keeps a session from being opened while the user is disabled or deleted, or has
    all sessions ended because of a new password.
    """
    session, refresh_token = _new_session(user, client, now, policy)
    await sessions.add(session)
    await journal.events.record(
        SessionStarted(user_id=user.id, occurred_at=now, session_id=session.id, method=method)
    )
    details = {"session_id": session.id, "method": method}
    await journal.audit.record(AuditEntry("session.started", now, client, user.id, user.mobile, details))
    return signed_in(user, session, refresh_token, now, tokens)


def signed_in(
    user: User, session: Session, refresh_token: RefreshToken, now: datetime, tokens: Tokens
) -> SignedIn:
    """Return what the client gets: a new access token, and the session's refresh token."""
    return SignedIn(
        user=user,
        session_id=session.id,
        token=tokens.issue(user, session.id, now, session.access_expires_at),
        expires_in=_seconds(session.access_expires_at - now),
        refresh_token=str(refresh_token),
        refresh_expires_in=_seconds(session.expires_at - now),
    )


def _new_session(
    user: User, client: Client, now: datetime, policy: SessionPolicy
) -> tuple[Session, RefreshToken]:
    session_id, chain_key = new_session_id(), new_chain_key()
    token = Chain(session_id, chain_key).first()
    ends_at = policy.ends_at(now, now)
    session = Session(
        id=session_id,
        user_id=user.id,
        chain_key=chain_key,
        refresh_hash=token.hash,
        generation=token.generation,
        recent_uses=(),
        client=client,
        created_at=now,
        last_used_at=now,
        expires_at=ends_at,
        access_expires_at=min(now + policy.access, ends_at),
    )
    return session, token


def _seconds(duration: timedelta) -> int:
    return max(0, int(duration.total_seconds()))
