"""The bodies of requests and answers: models that validate, and from which the API is described."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from services.auth.http import messages as texts
from shared.contracts.messages import Channel, Purpose
from shared.i18n import Text
from shared.phone import InvalidMobile, parse_mobile

_AVATAR_LENGTH = 512
_NICKNAME_LENGTH = 64
_PAYLOAD_LENGTH = 4096
_PASSWORD_LENGTHS = range(8, 129)


@dataclass(frozen=True, slots=True)
class InputRules:
    """The settings that validation depends on; passed as pydantic's validation context."""

    regions: Collection[str]
    common_passwords: Collection[str]


def _fail(text: Text) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{en}", {"en": text.en, "text": text})


def _storable(value: Any) -> Any:  # noqa: ANN401 - runs before the type is known
    """Refuse what JSON can carry but UTF-8 and MySQL cannot: lone surrogates and NUL."""
    if not isinstance(value, str):
        return value
    if "\0" in value:
        raise _fail(texts.NUL_CHARACTER)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _fail(texts.NOT_UNICODE)
    return value


def _mobile(value: str, info: ValidationInfo[InputRules]) -> str:
    try:
        return parse_mobile(value, info.context.regions)
    except InvalidMobile:
        raise _fail(texts.INVALID_MOBILE) from None


def _nickname(value: str) -> str:
    value = value.strip()
    printable = all(unicodedata.category(character)[0] != "C" or character == "\u200d" for character in value)
    if not printable or not 1 <= len(value) <= _NICKNAME_LENGTH:
        raise _fail(texts.INVALID_NICKNAME)
    return value


def _avatar(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        raise _fail(texts.INVALID_AVATAR) from None
    usable = parts.scheme in {"http", "https"} and parts.hostname
    if not usable or len(value) > _AVATAR_LENGTH or not value.isprintable() or " " in value:
        raise _fail(texts.INVALID_AVATAR)
    return value


def _acceptable(password: str, info: ValidationInfo[InputRules]) -> str:
    if len(password) not in _PASSWORD_LENGTHS:
        raise _fail(texts.PASSWORD_LENGTH)
    personal = {info.data.get("mobile"), (info.data.get("nickname") or "").casefold()}
    if password.casefold() in personal:
        raise _fail(texts.PASSWORD_PERSONAL)
    if password.casefold() in info.context.common_passwords:
        raise _fail(texts.PASSWORD_COMMON)
    return password


# Strict: a number is no string.
Text_ = Annotated[str, Field(strict=True), BeforeValidator(_storable)]
Mobile = Annotated[
    Text_,
    AfterValidator(_mobile),
    Field(description="11 digits for mainland numbers, else E.164 with +", examples=["13800000000"]),
]
Nickname = Annotated[
    Text_, AfterValidator(_nickname), Field(description="1 to 64 characters, no control characters")
]
Avatar = Annotated[
    Text_, AfterValidator(_avatar), Field(description="an http or https URL of at most 512 characters")
]
# To be declared after mobile and nickname, which its check looks at.
NewPassword = Annotated[
    Text_, AfterValidator(_acceptable), Field(description="8 to 128 characters of any script", repr=False)
]
Timestamp = Annotated[
    datetime,
    PlainSerializer(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z", return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class Request(BaseModel):
    """Base of the requests: members that are not known are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class CodeRequest(Request):
    """`POST /code/`."""

    mobile: Mobile
    purpose: Purpose = "register"
    channel: Channel = "sms"
    challenge: Text_ | None = Field(
        None,
        max_length=_PAYLOAD_LENGTH,
        description="what ALTCHA's widget makes of the challenge that an earlier answer carried",
    )


class RegisterRequest(Request):
    """`POST /register/`."""

    mobile: Mobile
    code: Text_
    nickname: Nickname | None = None
    avatar: Avatar | None = None
    # Last, because its check looks at the ones before.
    password: NewPassword


class CodeResponse(BaseModel):
    """The answer to `POST /code/`; times in seconds."""

    message_id: str
    expires_in: int
    resend_after: int


class CodeStatusResponse(BaseModel):
    """The answer to `GET /code/{message_id}/`."""

    message_id: str
    status: Literal["queued", "sent", "delivered", "failed", "expired", "limited"]
    updated_at: Timestamp


class RegisterResponse(BaseModel):
    """The answer to `POST /register/`."""

    id: int


class JwksResponse(BaseModel):
    """The answer to `GET /.well-known/jwks.json` (RFC 7517 §5)."""

    keys: list[dict[str, str]]
