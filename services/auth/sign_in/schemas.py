"""Bodies of the requests and answers about signing in."""

from typing import Self

from pydantic import Field

from services.auth.http.fields import Code, KnownMobile, Mobile, Password, RequestBody
from services.auth.models import SignedIn
from services.auth.sessions.schemas import LoginResponse


class LoginRequest(RequestBody):
    """`POST /login/`; the rules for new passwords, and for numbers that get codes, do not apply here."""

    mobile: KnownMobile
    password: Password = Field(repr=False)


class LoginCodeRequest(RequestBody):
    """`POST /login/code/`."""

    mobile: Mobile
    code: Code = Field(repr=False)


class LoginCodeResponse(LoginResponse):
    """The answer to `POST /login/code/`; `created`: whether the account is new."""

    created: bool

    @classmethod
    def of(cls, signed_in: SignedIn) -> Self:
        """Return the answer for an opened session."""
        return cls(created=signed_in.created, **LoginResponse.of(signed_in).model_dump())
