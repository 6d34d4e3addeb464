"""The body of `POST /reauthenticate/`."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.auth import i18n
from services.auth.http.fields import Code, Password, RequestBody


class ReauthenticationRequest(RequestBody):
    """`POST /reauthenticate/`: the password, or a code that was sent to the account's own number."""

    password: Password | None = Field(None, repr=False)
    code: Code | None = Field(None, repr=False)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.password is None) == (self.code is None):
            text = i18n.PASSWORD_OR_CODE
            raise PydanticCustomError("invalid", "{en}", {"en": text.en, "text": text})
        return self
