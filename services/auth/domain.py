"""The values that the use cases speak of; pure, no I/O."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be created."""

    mobile: str
    password_hash: str = field(repr=False)
    nickname: str | None
    avatar: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """An account; times are UTC."""

    id: int
    mobile: str
    password_hash: str = field(repr=False)
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
    """Who is asking, as far as the gateway can tell."""

    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be stored; of the refresh token only the hash."""

    id: str
    user_id: int
    refresh_hash: str = field(repr=False)
    client: Client
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in gives the client; lifetimes in seconds."""

    user: User
    session_id: str
    token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """What asking for a code gives the client; times in seconds."""

    message_id: str
    expires_in: int
    resend_after: int
