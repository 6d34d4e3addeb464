"""The fields of requests and answers: types that validate, and that the OpenAPI document describes."""

import runpy
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
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from services.auth import i18n
from services.auth.http.typed_text import (
    LONGEST_DECOMPOSITION,
    MAX_NICKNAME_LENGTH,
    UnusableNickname,
    is_blank,
    normalize,
    normalize_nickname,
)
from shared.i18n import Text
from shared.phone import MAX_LENGTH as MAX_MOBILE_LENGTH
from shared.phone import InvalidMobile, parse_mobile, parse_number
from shared.security.access_tokens import MAX_TOKEN_LENGTH
from shared.typed_digits import NotDigits, digits

_AVATAR_LENGTH = 512
# What RFC 3986 allows nowhere in a URL: what would leave the attribute that a page puts the URL into, and the
# backslash, which browsers read as a slash. So is `'`, although allowed.
_NOT_IN_URL = frozenset(" \"'<>\\^`{|}")
# In code points of the composed form.
_PASSWORD_LENGTHS = range(8, 129)
_TYPED_PASSWORD_LENGTH = _PASSWORD_LENGTHS[-1] * LONGEST_DECOMPOSITION
# Four times the digits of a code, because people paste blanks and invisible characters with it.
_CODE_LENGTH = 32
_REFRESH_TOKEN_LENGTH = 512
_CHALLENGE_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The settings that validation depends on, passed as pydantic's validation context.

    Attributes:
        regions: ISO 3166-1 codes of the regions whose numbers are accepted.
        common_passwords: passwords that are refused, in lower case.
        code_length: digits of a code.
    """

    regions: Collection[str]
    common_passwords: Collection[str]
    code_length: int = 6


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


@dataclass(frozen=True, slots=True)
class MaxLength:
    """The type and the maximum length of a string; nothing else looks at a longer one.

    Every string of a request has a maximum, because the time of what is done with it (normalising, hashing,
    parsing) grows with its length, for some with the square: to normalise 62 KB of combining marks takes a
    second. Numbers are not converted to strings.

    Attributes:
        code_points: the maximum.
        message: for a longer string; by default one that names the maximum.
    """

    code_points: int
    message: Text | None = None

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema, which also puts the maximum into the OpenAPI document."""
        string = core_schema.str_schema(strict=True, max_length=self.code_points)
        return core_schema.no_info_before_validator_function(self._check, string)

    def _check(self, value: Any) -> Any:  # noqa: ANN401 - runs before the type is known
        if not isinstance(value, str):
            return value
        if len(value) > self.code_points:
            if self.message is not None:
                raise _fail(self.message)
            raise PydanticKnownError("string_too_long", {"max_length": self.code_points})
        return _storable(value)


def _storable(value: str) -> str:
    """Refuse what JSON can carry but UTF-8 or MySQL cannot: lone surrogates and NUL."""
    if "\0" in value:
        raise _fail(i18n.NUL_CHARACTER)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _fail(i18n.NOT_UNICODE) from None
    return value


def _mobile(value: str, info: ValidationInfo[ValidationContext]) -> str:
    try:
        return parse_mobile(value, info.context.regions)
    except InvalidMobile:
        raise _fail(i18n.INVALID_MOBILE) from None


def _known_mobile(value: str, info: ValidationInfo[ValidationContext]) -> str:
    try:
        return parse_number(value, info.context.regions)
    except InvalidMobile:
        raise _fail(i18n.INVALID_MOBILE) from None


def _code(value: str, info: ValidationInfo[ValidationContext]) -> str:
    length = info.context.code_length
    try:
        code = digits(value)
    except NotDigits:
        code = ""
    if len(code) != length:
        raise _fail(i18n.NO_CODE.fill(digits=length))
    return code


def _nickname(value: str) -> str:
    try:
        return normalize_nickname(value)
    except UnusableNickname:
        raise _fail(i18n.INVALID_NICKNAME) from None


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


def _new_password(value: str, info: ValidationInfo[ValidationContext]) -> str:
    password = normalize(value)
    if len(password) not in _PASSWORD_LENGTHS:
        raise _fail(i18n.PASSWORD_LENGTH)
    if is_blank(password):
        raise _fail(i18n.PASSWORD_BLANK)
    personal = {info.data.get("mobile"), (info.data.get("nickname") or "").casefold()}
    if password.casefold() in personal:
        raise _fail(i18n.PASSWORD_PERSONAL)
    if password.casefold() in info.context.common_passwords:
        raise _fail(i18n.PASSWORD_COMMON)
    return password


_MOBILE_DESCRIPTION = (
    "11 digits for mainland numbers, else E.164 with +; or as phones paste it: with 86, +86, 0086 or 00, "
    "with blanks, dashes, brackets, full-width digits or invisible characters, or as a tel: URI"
)

# What is no code is refused here, and so is not a wrong try.
Code = Annotated[
    str,
    MaxLength(_CODE_LENGTH),
    AfterValidator(_code),
    Field(
        description="the digits of a code; blanks, dashes and digits of other scripts are understood",
        examples=["123456"],
    ),
]
RefreshTokenString = Annotated[str, MaxLength(_REFRESH_TOKEN_LENGTH)]
AccessTokenString = Annotated[str, MaxLength(MAX_TOKEN_LENGTH)]
ChallengeSolution = Annotated[str, MaxLength(_CHALLENGE_LENGTH)]
Mobile = Annotated[
    str,
    MaxLength(MAX_MOBILE_LENGTH, i18n.INVALID_MOBILE),
    AfterValidator(_mobile),
    Field(description=_MOBILE_DESCRIPTION, examples=["13800000000"]),
]
# Of an account that exists, to which nothing is sent.
KnownMobile = Annotated[
    str,
    MaxLength(MAX_MOBILE_LENGTH, i18n.INVALID_MOBILE),
    AfterValidator(_known_mobile),
    Field(description=_MOBILE_DESCRIPTION, examples=["13800000000"]),
]
Nickname = Annotated[
    str,
    MaxLength(MAX_NICKNAME_LENGTH * LONGEST_DECOMPOSITION, i18n.INVALID_NICKNAME),
    AfterValidator(_nickname),
    Field(
        description="1 to 64 characters (code points in NFC, which is stored), at least one of them visible, "
        "no control characters; blanks around it are removed"
    ),
]
Avatar = Annotated[
    str,
    MaxLength(_AVATAR_LENGTH, i18n.INVALID_AVATAR),
    AfterValidator(_avatar),
    Field(description="an http or https URL of at most 512 characters, without user name"),
]
# Declared after mobile and nickname, which its validator reads.
NewPassword = Annotated[
    str,
    MaxLength(_TYPED_PASSWORD_LENGTH, i18n.PASSWORD_LENGTH),
    AfterValidator(_new_password),
    Field(description="8 to 128 characters of any script (code points in NFC), not only blanks", repr=False),
]
# A password to compare. The rules for new ones do not apply: what is longer than any password may be, however
# it is composed, is refused before an account is looked at, and what is shorter is right or wrong.
Password = Annotated[str, MaxLength(_TYPED_PASSWORD_LENGTH)]
Timestamp = Annotated[
    datetime,
    PlainSerializer(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z", return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class RequestBody(BaseModel):
    """Base of the requests' bodies; unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
