"""Bodies of the requests and answers about passwords."""

from pydantic import BaseModel, Field

from services.auth.http.fields import Mobile, NewPassword, RequestBody, String


class PasswordResetRequest(RequestBody):
    """`POST /password/reset/`."""

    mobile: Mobile
    code: String = Field(repr=False)
    password: NewPassword


class PasswordChangeRequest(RequestBody):
    """`POST /password/change/`; the old password where the account has one."""

    old_password: String | None = Field(None, repr=False)
    password: NewPassword


class KnownPasswordChangeRequest(RequestBody):
    """`POST /password/change/` of an account that has a password."""

    old_password: String = Field(repr=False)
    password: NewPassword


class EmptyResponse(BaseModel):
    """The answer without members: `{}`."""
