"""The fields of requests and answers: types that validate, and that the OpenAPI document describes."""

import runpy
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
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

from services.auth import i18n
from shared.i18n import Text
from shared.phone import InvalidMobile, parse_mobile

_AVATAR_LENGTH = 512
_NICKNAME_LENGTH = 64
# What RFC 3986 allows nowhere in a URL: what would leave the attribute that a page puts the URL into, and the
# backslash, which browsers read as a slash. So is `'`, although allowed.
_NOT_IN_URL = frozenset(" \"'<>\\^`{|}")
_PASSWORD_LENGTHS = range(8, 129)


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The settings that validation depends on, passed as pydantic's validation context.

    Attributes:
        regions: ISO 3166-1 codes of the regions whose numbers are accepted.
        common_passwords: passwords that are refused, in lower case.
    """

    regions: Collection[str]
    common_passwords: Collection[str]


def load_common_passwords() -> frozenset[str]:
    """Return those of the 30,000 most common passwords that are long enough, in lower case.

    They are refused (NIST SP 800-63B §3.1.1.2); the list is zxcvbn's.
    """
    return frozenset(word for word in _frequency_list() if len(word) >= _PASSWORD_LENGTHS.start)


def _frequency_list() -> list[str]:
    """Return the library's list without importing the library, which would cost 12 MB of memory."""
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("zxcvbn")
    namespace = runpy.run_path(str(Path(package.origin).with_name("frequency_lists.py")))
    passwords: list[str] = namespace["FREQUENCY_LISTS"]["passwords"]
    return passwords


def _fail(text: Text) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{en}", {"en": text.en, "text": text})


def _storable(value: Any) -> Any:  # noqa: ANN401 - runs before the type is known
    """Refuse what JSON can carry but UTF-8 or MySQL cannot: lone surrogates and NUL."""
    if not isinstance(value, str):
        return value
    if "\0" in value:
        raise _fail(i18n.NUL_CHARACTER)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _fail(i18n.NOT_UNICODE)
    return value


def _mobile(value: str, info: ValidationInfo[ValidationContext]) -> str:
    try:
        return parse_mobile(value, info.context.regions)
    except InvalidMobile:
        raise _fail(i18n.INVALID_MOBILE) from None


def _nickname(value: str) -> str:
    value = value.strip()
    printable = all(unicodedata.category(character)[0] != "C" or character == "\u200d" for character in value)
    if not printable or not 1 <= len(value) <= _NICKNAME_LENGTH:
        raise _fail(i18n.INVALID_NICKNAME)
    return value


def _avatar(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        raise _fail(i18n.INVALID_AVATAR) from None
    usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not usable or len(value) > _AVATAR_LENGTH or not value.isprintable() or _NOT_IN_URL & set(value):
        raise _fail(i18n.INVALID_AVATAR)
    return value


def _new_password(password: str, info: ValidationInfo[ValidationContext]) -> str:
    if len(password) not in _PASSWORD_LENGTHS:
        raise _fail(i18n.PASSWORD_LENGTH)
    personal = {info.data.get("mobile"), (info.data.get("nickname") or "").casefold()}
    if password.casefold() in personal:
        raise _fail(i18n.PASSWORD_PERSONAL)
    if password.casefold() in info.context.common_passwords:
        raise _fail(i18n.PASSWORD_COMMON)
    return password


# Strict: numbers are not converted to strings.
String = Annotated[str, Field(strict=True), BeforeValidator(_storable)]
Mobile = Annotated[
    String,
    AfterValidator(_mobile),
    Field(description="11 digits for mainland numbers, else E.164 with +", examples=["13800000000"]),
]
Nickname = Annotated[
    String, AfterValidator(_nickname), Field(description="1 to 64 characters, no control characters")
]
Avatar = Annotated[
    String,
    AfterValidator(_avatar),
    Field(description="an http or https URL of at most 512 characters, without user name"),
]
# Declared after mobile and nickname, which its validator reads.
NewPassword = Annotated[
    String, AfterValidator(_new_password), Field(description="8 to 128 characters of any script", repr=False)
]
Timestamp = Annotated[
    datetime,
    PlainSerializer(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z", return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class RequestBody(BaseModel):
    """Base of the requests' bodies; unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
