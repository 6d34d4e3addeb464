"""The values that the use cases speak of; pure, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

# What the audit trail tells of.
Action = Literal[
    "user.registered",
    "user.deleted",
    "user.disabled",
    "user.enabled",
    "profile.changed",
    "mobile.changed",
    "password.changed",
    "session.started",
    "session.ended",
    "session.token_reused",
    "proof.refused",  # a wrong password or code
]

# What users tell about themselves.
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
    """An account; times are UTC. One that was made by a sign-in with a code has no password."""

    id: int
    mobile: str
    password_hash: str | None = field(repr=False)
    nickname: str | None
    avatar: str | None
    disabled_at: datetime | None
    created_at: datetime

    @property
    def nick(self) -> str:
        """What to call the user: the nickname, or the mobile where there is none."""
        return self.nickname or self.mobile

    @property
    def enabled(self) -> bool:
        """Whether the account may be used."""
        return self.disabled_at is None


@dataclass(frozen=True, slots=True)
class Client:
    """Who is asking, as far as the gateway can tell, and in which request."""

    ip: str
    user_agent: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A security-relevant act.

    Attributes:
        action: what was done.
        at: when, UTC.
        client: from where.
        user_id: whose account, where there is one.
        mobile: the number that it was about; stored masked and as a pseudonym.
        details: what else an auditor wants to know; never a secret, never a number.
        repeats: whether the like of it, from one address about one number, is told once an hour with
            how often it happened, so that an attack does not fill the trail.
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
        id: not guessable, and no secret.
        user_id: whose it is.
        chain_key: what the next refresh token is derived with.
        refresh_hash: what is known of the current refresh token.
        generation: the current token's place in the chain.
        recent_uses: when the tokens before it were first used, the latest last.
        client: who used it last.
        created_at: when it began.
        last_used_at: when it was last refreshed.
        expires_at: when it ends by itself.
        access_expires_at: when the last access token ends.
    """

    id: str
    user_id: int
    chain_key: str = field(repr=False)
    refresh_hash: str = field(repr=False)
    generation: int
    recent_uses: tuple[datetime, ...]
    client: Client
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    access_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, by a valid access token of a session that has not been ended."""

    user: User
    session_id: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in gives the client; lifetimes in seconds. `created`: it has made the account."""

    user: User
    session_id: str
    token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    created: bool = False


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """What asking for a code gives the client; times in seconds."""

    message_id: str
    expires_in: int
    resend_after: int
