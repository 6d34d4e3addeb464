"""What using a refresh token does to its session; pure, no I/O."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.auth.models import Client, Session
from services.auth.sessions.refresh_tokens import Chain, RefreshToken

# A session whose token is used more often than this within the grace keeps its token meanwhile, so
# that the times of all uses within the grace fit into its row.
_MOST_USES = 16

Verdict = Literal["rotated", "repeated", "reused", "invented"]


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """Lifetimes and the grace.

    Attributes:
        access: how long an access token is valid.
        refresh: how long a refresh token is valid; each use begins it anew.
        total: how long a session lasts at most, however much it is used.
        grace: how long a token that has been used still gets an answer: for two tabs that refresh
            at once, and for an answer that was lost on its way.
    """

    access: timedelta
    refresh: timedelta
    total: timedelta
    grace: timedelta

    def ends_at(self, created_at: datetime, now: datetime) -> datetime:
        """Return the end of a session that is used now."""
        return min(now + self.refresh, created_at + self.total)


@dataclass(frozen=True, slots=True)
class Use:
    """What came of using a token.

    Attributes:
        verdict: `rotated`: the token was the current one and is followed by another;
            `repeated`: it has been followed within the grace, the answer is the current one;
            `reused`: it was followed longer ago, so that two parties have it;
            `invented`: the session never had it.
        session: the session as it is now.
        token: the current token; the caller's own where it may not have another.
    """

    verdict: Verdict
    session: Session
    token: RefreshToken


def use_token(
    session: Session, token: RefreshToken, client: Client, now: datetime, policy: SessionPolicy
) -> Use:
    """Decide what using a token does to its living session."""
    chain = Chain(session.id, session.chain_key)
    behind = session.generation - token.generation
    if behind < 0 or not chain.is_genuine(token):
        return Use("invented", session, token)
    uses = _recent(session, now, policy)
    if behind > len(uses):
        return Use("reused", session, token)
    current = token
    for _ in range(behind):
        current = chain.next(current)
    if current.hash != session.refresh_hash:  # genuine of a chain that was restored from elsewhere
        return Use("invented", session, token)
    if behind or len(uses) == _MOST_USES:
        return Use("repeated", session, current)
    follower = chain.next(current)
    return Use("rotated", _rotated(session, follower, [*uses, now], client, now, policy), follower)


def _recent(session: Session, now: datetime, policy: SessionPolicy) -> list[datetime]:
    """Return when the latest tokens were first used, as far as that is within the grace."""
    return [used_at for used_at in session.recent_uses if now - used_at < policy.grace]


def _rotated(
    session: Session,
    token: RefreshToken,
    uses: list[datetime],
    client: Client,
    now: datetime,
    policy: SessionPolicy,
) -> Session:
    ends_at = policy.ends_at(session.created_at, now)
    return replace(
        session,
        refresh_hash=token.hash,
        generation=token.generation,
        recent_uses=tuple(uses),
        client=client,
        last_used_at=now,
        expires_at=ends_at,
        access_expires_at=min(now + policy.access, ends_at),
    )
