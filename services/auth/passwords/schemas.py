"""Bodies of the requests and answers about passwords."""

from pydantic import BaseModel, Field

from services.auth.http.fields import Code, Mobile, NewPassword, Password, RequestBody


class PasswordResetRequest(RequestBody):
    """`POST /password/reset/`."""

    mobile: Mobile
    code: Code = Field(repr=False)
    password: NewPassword


class PasswordChangeRequest(RequestBody):
    """`POST /password/change/`; the old password where the account has one."""

    old_password: Password | None = Field(None, repr=False)
    password: NewPassword


class KnownPasswordChangeRequest(RequestBody):
    """`POST /password/change/` of an account that has a password."""

    old_password: Password = Field(repr=False)
    password: NewPassword


class EmptyResponse(BaseModel):
    """The answer without members: `{}`."""
