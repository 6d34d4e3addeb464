"""Refreshing a session."""

from datetime import datetime

from services.auth.db.transactions import atomically
from services.auth.errors import SessionOver
from services.auth.models import AuditEntry, Client, Session, SignedIn
from services.auth.ports import Journal, Sessions, Tokens, Users
from services.auth.sessions.refresh_tokens import parse_refresh_token
from services.auth.sessions.rotation import SessionPolicy, Use, use_token
from services.auth.sessions.session_opening import signed_in
from shared.clock import Clock
from shared.errors import Unauthorized


async def refresh(
    token: str,
    client: Client,
    *,
    sessions: Sessions,
    users: Users,
    tokens: Tokens,
    journal: Journal,
    policy: SessionPolicy,
    clock: Clock,
) -> SignedIn:
    """Exchange a refresh token for the next one and a new access token.

    Requests with one token at the same time take turns at the session's row; all of them get the same
    next token. A process that is killed has either exchanged it or not: whoever got no answer asks
    again within the grace and gets what it missed.

    Raises:
        SessionOver: the session has ended or run out, or ends now: the token was used long ago, so
            that somebody has a copy.
        Unauthorized: this never was a refresh token.
        Unavailable: the database is down; nothing was changed.
    """
    presented = parse_refresh_token(token)
    if presented is None:
        raise Unauthorized(token_given=True)

    async def exchange() -> SignedIn | None:
        now = clock()
        session = await sessions.lock(presented.session_id)
        user = await users.find_by_id(session.user_id) if session else None
        if session is None or user is None or not user.enabled or session.expires_at <= now:
            return None
        used = use_token(session, presented, client, now, policy)
        if not await _settle(used, client, now, sessions=sessions, journal=journal):
            return None
        return signed_in(user, used.session, used.token, now, tokens)

    answer = await atomically(journal.transaction, exchange)
    if answer is None:
        raise SessionOver
    return answer


async def _settle(used: Use, client: Client, now: datetime, *, sessions: Sessions, journal: Journal) -> bool:
    """Write what a use has changed; False where it has ended the session."""
    match used.verdict:
        case "rotated":
            await sessions.save(used.session)
        case "reused":
            await _end_reused(used.session, client, now, sessions=sessions, journal=journal)
        case "invented":
            raise Unauthorized(token_given=True)
    return used.verdict != "reused"


async def _end_reused(
    session: Session, client: Client, now: datetime, *, sessions: Sessions, journal: Journal
) -> None:
    await sessions.end(session.user_id, session.id, reason="token_reused", now=now)
    details = {"session_id": session.id}
    await journal.audit.record(
        AuditEntry("session.token_reused", now, client, session.user_id, details=details)
    )
