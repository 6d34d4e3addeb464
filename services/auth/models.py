"""The values that services and repositories exchange; frozen, without I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

# What the audit trail records.
Action = Literal[
    "user.registered",
    "user.deleted",
    "user.disabled",
    "user.enabled",
    "profile.changed",
    "mobile.changed",
    "password.changed",
    "session.started",
    "session.reauthenticated",
    "session.ended",
    "session.token_reused",
    "proof.refused",  # a wrong password or code
]

# The members of a profile that users may change.
ProfileMember = Literal["nickname", "avatar"]


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be created."""

    mobile: str
    password_hash: str | None = field(repr=False)
    nickname: str | None
    avatar: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """An account; times are UTC. One that was created by a sign-in with a code has no password.

    Attributes:
        sessions_valid_from: sessions that were opened before have ended, whether or not their rows are
            still there; None if all were never ended at once.
        sessions_kept: the session that was kept when the others were ended.
    """

    id: int
    mobile: str
    password_hash: str | None = field(repr=False)
    nickname: str | None
    avatar: str | None
    disabled_at: datetime | None
    created_at: datetime
    sessions_valid_from: datetime | None = None
    sessions_kept: str | None = None

    @property
    def nick(self) -> str:
        """The name to show: the nickname, or the mobile where there is none."""
        return self.nickname or self.mobile

    @property
    def enabled(self) -> bool:
        """Whether the account may be used."""
        return self.disabled_at is None

    def has_ended(self, session: "Session") -> bool:
        """Return whether a session of this account was ended together with the others."""
        ended_before = self.sessions_valid_from
        return (
            ended_before is not None
            and session.created_at < ended_before
            and session.id != self.sessions_kept
        )


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request: its address and user agent as the gateway saw them, and the request id."""

    ip: str
    user_agent: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A security-relevant act.

    Attributes:
        action: what was done.
        at: when, UTC.
        client: who did it.
        user_id: the account concerned, where there is one.
        mobile: the number concerned; stored masked and as a keyed hash.
        details: further facts for an auditor; never a secret, never a number.
        repeats: whether equal entries (same details, same number) within an hour are stored as one with
            a counter and the latest address, so that an attack does not fill the trail.
    """

    action: Action
    at: datetime
    client: Client
    user_id: int | None
    mobile: str = field(default="", repr=False)
    details: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in on one device; times are UTC.

    Attributes:
        id: random, but not a secret.
        user_id: the owner's account.
        family_key: the key that derives each next refresh token from the one before.
        refresh_hash: SHA-256 of the current refresh token's secret.
        generation: the current refresh token's position in its family, from 0.
        recent_uses: when the tokens before it were first used, oldest first.
        client: the client that used it last.
        created_at: time of the sign-in.
        last_used_at: time of the last refresh.
        expires_at: when the session ends unless it is refreshed.
        access_expires_at: when its latest access token expires.
        authenticated_at: when its owner last gave a password or a code; None if that was the sign-in.
        replaced_hash: hash of the refresh token that was current before that, until its successor is used.
    """

    id: str
    user_id: int
    family_key: str = field(repr=False)
    refresh_hash: str = field(repr=False)
    generation: int
    recent_uses: tuple[datetime, ...]
    client: Client
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    access_expires_at: datetime
    authenticated_at: datetime | None = None
    replaced_hash: str | None = field(default=None, repr=False)

    @property
    def proven_at(self) -> datetime:
        """When its owner last gave a password or a code."""
        return self.authenticated_at or self.created_at


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a request, authenticated by an access token of a session that has not ended."""

    user: User
    session_id: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The result of a sign-in or a refresh; lifetimes in seconds. `created`: the account is new."""

    user: User
    session_id: str
    token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    created: bool = False


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """The result of a request for a code; times in seconds."""

    message_id: str
    expires_in: int
    resend_after: int
