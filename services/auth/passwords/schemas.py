"""Bodies of the requests and answers about passwords."""

from pydantic import BaseModel, Field

from services.auth.http.fields import Mobile, NewPassword, RequestBody, String


class PasswordResetRequest(RequestBody):
    """`POST /password/reset/`."""

    mobile: Mobile
    code: String = Field(repr=False)
    password: NewPassword


class PasswordChangeRequest(RequestBody):
    """`POST /password/change/`."""

    old_password: String = Field(repr=False)
    password: NewPassword


class EmptyResponse(BaseModel):
    """The answer without members: `{}`."""
