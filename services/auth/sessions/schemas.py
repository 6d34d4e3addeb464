"""The bodies of requests and answers that have to do with signing in and sessions."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field

from services.auth.http.schemas import Mobile, Request, Text_, Timestamp
from services.auth.models import Session, SignedIn


class LoginRequest(Request):
    """`POST /login/`; the password's rules are not repeated, a wrong one is simply wrong."""

    mobile: Mobile
    password: Text_ = Field(repr=False)


class LoginCodeRequest(Request):
    """`POST /login/code/`."""

    mobile: Mobile
    code: Text_ = Field(repr=False)


class RefreshRequest(Request):
    """`POST /token/refresh/`."""

    refresh_token: Text_ = Field(repr=False)


class LoginResponse(BaseModel):
    """The answer to `POST /login/`; lifetimes in seconds."""

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
        """Return the answer for an opened session."""
        return cls(
            id=signed_in.user.id,
            nick=signed_in.user.nick,
            token=signed_in.token,
            expires_in=signed_in.expires_in,
            refresh_token=signed_in.refresh_token,
            refresh_expires_in=signed_in.refresh_expires_in,
            session_id=signed_in.session_id,
        )


class LoginCodeResponse(LoginResponse):
    """The answer to `POST /login/code/`; `created` where the sign-in has made the account."""

    created: bool

    @classmethod
    def of(cls, signed_in: SignedIn) -> Self:
        """Return the answer for an opened session."""
        return cls(created=signed_in.created, **LoginResponse.of(signed_in).model_dump())


class SessionResponse(BaseModel):
    """A session in the answer to `GET /sessions/`."""

    id: str
    created_at: Timestamp
    last_used_at: Timestamp
    ip: str
    user_agent: str
    current: bool


class SessionsResponse(BaseModel):
    """The answer to `GET /sessions/`; the one used last comes first."""

    sessions: list[SessionResponse]

    @classmethod
    def of(cls, sessions: Sequence[Session], current: str) -> Self:
        """Return the answer for a user's sessions, `current` being the one that asks."""
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
