"""Refresh tokens: a family of secrets for each session, of which the database holds only hashes.

A token consists of its session's id, its generation, a secret and a tag. The first secret is random;
each next one is derived from the one before by a key that only the session's row holds. Hence

- concurrent requests with one token, in any process, derive the same next token: the family cannot
  fork, and each of them gets a token that works;
- neither the row (key and hash) nor an old token alone leads to the current token;
- the tag distinguishes an old token of the session, of which nothing is stored, from an unknown one.

A client may have lost the answer with the next token, and come back with the one before after any time: as
long as the next token has not been used, it gets the same one again. An older token means that two parties
hold tokens of the session.

See OAuth 2.0 Security Best Current Practice (RFC 9700 §4.14.2) for rotation and reuse detection.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from services.auth.models import Client, Session

_ID_BYTES = 16
_GENERATION_BYTES = 4
_SECRET_BYTES = 32
_TAG_BYTES = 16
_SECRET_AT = _ID_BYTES + _GENERATION_BYTES
_TAG_AT = _SECRET_AT + _SECRET_BYTES
_BYTES = _TAG_AT + _TAG_BYTES
# In characters: base64 has four for three bytes, and blanks may have been copied with a token.
_MAX_LENGTH = 128
# A session that is refreshed more often than this within the reuse interval keeps its token meanwhile,
# so that the times of all uses within the interval fit into its row.
_MAX_RECENT_USES = 16

Outcome = Literal["rotated", "repeated", "reused", "unknown"]


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """Lifetimes of sessions and tokens.

    Attributes:
        access: lifetime of an access token.
        refresh: lifetime of a refresh token; each refresh starts it again.
        total: maximum lifetime of a session.
        reuse_interval: how long a used token still gets an answer although its successor has been used,
            for tabs that refresh at the same time.
        max_sessions: sessions of an account; one more ends the least recently used one.
        max_proof_age: how long after a password or a code a session may change how one gets in; zero for
            ever.
    """

    access: timedelta
    refresh: timedelta
    total: timedelta
    reuse_interval: timedelta
    max_sessions: int = 100
    max_proof_age: timedelta = timedelta(seconds=600)

    def expires_at(self, created_at: datetime, now: datetime) -> datetime:
        """Return when a session that is used now expires."""
        return min(now + self.refresh, created_at + self.total)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A parsed token; only the family of its session can tell whether it is genuine."""

    session_id: str
    generation: int
    secret: bytes = field(repr=False)
    tag: bytes = field(repr=False)

    @property
    def hash(self) -> str:
        """The hash that the database stores. 256 random bits need no slow hash."""
        return sha256(self.secret).hexdigest()

    def __str__(self) -> str:
        """The token in the form that clients hold."""
        parts = bytes.fromhex(self.session_id) + self.generation.to_bytes(_GENERATION_BYTES, "big")
        return urlsafe_b64encode(parts + self.secret + self.tag).decode().rstrip("=")


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Return the parsed token, or None for text of another form."""
    if len(text) > _MAX_LENGTH:
        return None
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    if len(content) != _BYTES:
        return None
    generation = int.from_bytes(content[_ID_BYTES:_SECRET_AT], "big")
    return RefreshToken(content[:_ID_BYTES].hex(), generation, content[_SECRET_AT:_TAG_AT], content[_TAG_AT:])


class RefreshTokenFamily:
    """The refresh tokens of one session.

    Args:
        session_id: the session's id.
        key: the family's key, in hexadecimal.
    """

    def __init__(self, session_id: str, key: str) -> None:
        self._session_id = session_id
        self._key = bytes.fromhex(key)

    def first(self) -> RefreshToken:
        """Return a new first token."""
        return self.unrelated(0)

    def unrelated(self, generation: int) -> RefreshToken:
        """Return a new token that none of the tokens before leads to."""
        return self._token(generation, secrets.token_bytes(_SECRET_BYTES))

    def next(self, token: RefreshToken) -> RefreshToken:
        """Return the token after a genuine one; always the same."""
        secret = hmac.digest(self._key, b"next" + token.secret, "sha256")
        return self._token(token.generation + 1, secret)

    def is_genuine(self, token: RefreshToken) -> bool:
        """Return whether the token is or was one of this session."""
        return hmac.compare_digest(self._token(token.generation, token.secret).tag, token.tag)

    def _token(self, generation: int, secret: bytes) -> RefreshToken:
        tagged = b"tag" + generation.to_bytes(_GENERATION_BYTES, "big") + secret
        tag = hmac.digest(self._key, tagged, "sha256")[:_TAG_BYTES]
        return RefreshToken(self._session_id, generation, secret, tag)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The result of presenting a refresh token.

    Attributes:
        outcome: `rotated`: it was the current token and is replaced by the next one;
            `repeated`: its successor has not been used, or it was replaced within the reuse interval; the
            answer is the current token;
            `reused`: it was replaced longer ago and its successor has been used, so two parties hold it;
            `unknown`: the session never had it.
        session: the session as it is now.
        token: the current token, or the presented one if the client may not have another.
    """

    outcome: Outcome
    session: Session
    token: RefreshToken


def new_session(
    user_id: int, client: Client, now: datetime, policy: SessionPolicy
) -> tuple[Session, RefreshToken]:
    """Return a new session of a user and its first refresh token."""
    session_id, family_key = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    token = RefreshTokenFamily(session_id, family_key).first()
    expires_at = policy.expires_at(now, now)
    session = Session(
        id=session_id,
        user_id=user_id,
        family_key=family_key,
        refresh_hash=token.hash,
        generation=token.generation,
        recent_uses=(),
        client=client,
        created_at=now,
        last_used_at=now,
        expires_at=expires_at,
        access_expires_at=min(now + policy.access, expires_at),
    )
    return session, token


def holds_genuine(session: Session, token: RefreshToken) -> bool:
    """Return whether a token is or was one of a session."""
    return RefreshTokenFamily(session.id, session.family_key).is_genuine(token)


def exchange(
    session: Session, token: RefreshToken, client: Client, now: datetime, policy: SessionPolicy
) -> Exchange:
    """Return what presenting a token of a valid session results in; changes nothing."""
    family = RefreshTokenFamily(session.id, session.family_key)
    behind = session.generation - token.generation
    if behind < 0 or not family.is_genuine(token):
        return Exchange("unknown", session, token)
    recent = [used_at for used_at in session.recent_uses if now - used_at < policy.reuse_interval]
    if behind == 1 and session.replaced_hash == token.hash:
        successor = family.next(token)
        return Exchange(
            "rotated", _rotated(session, successor, [*recent, now], client, now, policy), successor
        )
    if behind > max(1, len(recent)):
        return Exchange("reused", session, token)
    current = token
    for _ in range(behind):
        current = family.next(current)
    if current.hash != session.refresh_hash:  # genuine, but of a row that was restored from a backup
        return Exchange("unknown", session, token)
    if behind or len(recent) == _MAX_RECENT_USES:
        return Exchange("repeated", session, current)
    successor = family.next(current)
    return Exchange("rotated", _rotated(session, successor, [*recent, now], client, now, policy), successor)


def prove(
    session: Session, client: Client, now: datetime, policy: SessionPolicy
) -> tuple[Session, RefreshToken]:
    """Return a valid session whose owner has just given a password or a code, and its new refresh token.

    The client has presented no refresh token, of which the database holds but a hash, so the new one is
    unrelated to it. The one before can still be exchanged as long as the new one has not been used, for a
    client that has lost the answer.
    """
    recent = [used_at for used_at in session.recent_uses if now - used_at < policy.reuse_interval]
    # A second proof, before a token of the first was used, takes the place of the first.
    generation = session.generation if session.replaced_hash else session.generation + 1
    token = RefreshTokenFamily(session.id, session.family_key).unrelated(generation)
    proven = _rotated(session, token, [*recent, now], client, now, policy)
    replaced_hash = session.replaced_hash or session.refresh_hash
    return replace(proven, authenticated_at=now, replaced_hash=replaced_hash), token


def _rotated(
    session: Session,
    token: RefreshToken,
    uses: list[datetime],
    client: Client,
    now: datetime,
    policy: SessionPolicy,
) -> Session:
    expires_at = policy.expires_at(session.created_at, now)
    return replace(
        session,
        refresh_hash=token.hash,
        replaced_hash=None,
        generation=token.generation,
        recent_uses=tuple(uses[-_MAX_RECENT_USES:]),
        client=client,
        last_used_at=now,
        expires_at=expires_at,
        access_expires_at=min(now + policy.access, expires_at),
    )
