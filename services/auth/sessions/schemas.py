"""Bodies of the requests and answers about sessions."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field

from services.auth.http.fields import RefreshTokenString, RequestBody, Timestamp
from services.auth.models import Session, SignedIn
from services.auth.sessions.revocations import Ended


class RefreshRequest(RequestBody):
    """`POST /token/refresh/`."""

    refresh_token: RefreshTokenString = Field(repr=False)


class LogoutRequest(RequestBody):
    """`POST /logout/`; without a body, the access token says which session ends."""

    refresh_token: RefreshTokenString | None = Field(None, repr=False)


class LoginResponse(BaseModel):
    """The answer to a sign-in or a refresh; lifetimes in seconds."""

    id: int
    nick: str
    token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - not a secret
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    session_id: str

    @classmethod
    def of(cls, signed_in: SignedIn) -> Self:
        """Return the answer for a session that was opened or refreshed."""
        return cls(
            id=signed_in.user.id,
            nick=signed_in.user.nick,
            token=signed_in.token,
            expires_in=signed_in.expires_in,
            refresh_token=signed_in.refresh_token,
            refresh_expires_in=signed_in.refresh_expires_in,
            session_id=signed_in.session_id,
        )


class SessionResponse(BaseModel):
    """A session in the answer to `GET /sessions/`."""

    id: str
    created_at: Timestamp
    last_used_at: Timestamp
    ip: str
    user_agent: str
    current: bool


class SessionsResponse(BaseModel):
    """The answer to `GET /sessions/`, most recently used first."""

    sessions: list[SessionResponse]

    @classmethod
    def of(cls, sessions: Sequence[Session], current: str) -> Self:
        """Return the answer for a user's sessions; `current` is the id of the session that asks."""
        return cls(
            sessions=[
                SessionResponse(
                    id=session.id,
                    created_at=session.created_at,
                    last_used_at=session.last_used_at,
                    ip=session.client.ip,
                    user_agent=session.client.user_agent,
                    current=session.id == current,
                )
                for session in sessions
            ]
        )


class EndedSessionsResponse(BaseModel):
    """Ended sessions with the expiry of their last access tokens, in seconds since 1970."""

    ended: Ended
