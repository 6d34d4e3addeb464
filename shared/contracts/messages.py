"""Messages between the services: versioned and typed; the JSON schemas are in `shared/contracts/schemas/`.

Adding an optional member keeps the version: consumers ignore unknown members. A breaking change is a
new class with the next version: first consumers accept both versions, one release later the producer
switches.
"""

import json
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.security.sealing import CannotOpen, Sealer

Purpose = Literal["register", "login", "reset", "change_mobile", "delete", "confirm"]
# What notices tell of.
NoticeKind = Literal["mobile_changed", "password_reset", "account_deleted"]
Channel = Literal["sms", "voice"]

_MODEL = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
_Model = TypeVar("_Model", bound=BaseModel)
_Content = TypeVar("_Content")
_SEALED = {"mobile", "code"}
_SEALED_NOTICE = {"mobile", "text"}
_PURPOSES = frozenset(get_args(Purpose))
# What the workers of the version before call the purposes that they do not know and would dead-letter.
_FORMER_NAMES: dict[Purpose, Purpose] = {"confirm": "login"}


class UnreadableMessage(ValueError):
    """A message with an unknown type or a malformed body; `reason` has no values of the message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendCode(BaseModel):
    """A request to send a code to a phone number, in plain text; the form used inside the services."""

    model_config = _MODEL

    message_id: str = Field(min_length=1, max_length=64)
    mobile: str = Field(
        pattern=r"^(1[3-9][0-9]{9}|\+[1-9][0-9]{6,14})$",
        description="11 digits for mainland numbers, else E.164 with +",
        repr=False,
    )
    code: str = Field(pattern=r"^[0-9]{4,8}$", repr=False)
    purpose: Purpose
    channel: Channel = "sms"
    created_at: AwareDatetime = Field(description="when the code was asked for, UTC")
    expires_at: AwareDatetime = Field(description="when the code stops working, UTC; not sent after that")


class SendCodeV1(SendCode):
    """A request to send a code to a phone number."""

    TYPE: ClassVar[str] = "sms.send_code.v1"


class SendCodeV2(BaseModel):
    """A request to send a code to a phone number; number and code are sealed.

    Neither the broker's disk nor its management page nor the dead queue shows them.
    """

    model_config = _MODEL
    TYPE: ClassVar[str] = "sms.send_code.v2"

    message_id: str = Field(min_length=1, max_length=64)
    sealed: str = Field(
        description="nonce and AES-256-GCM of the JSON object of mobile and code, base64url;"
        " bound to the type and the message_id; members that are in it, too, are those that count",
        repr=False,
    )
    purpose: Purpose = Field(description="of a purpose that the previous version lacks, one that it has")
    exact_purpose: str | None = Field(
        None, pattern="^[a-z_]{1,32}$", description="the purpose, where `purpose` is not the exact one"
    )
    channel: Channel = "sms"
    created_at: AwareDatetime = Field(description="when the code was asked for, UTC")
    expires_at: AwareDatetime = Field(description="when the code stops working, UTC; not sent after that")


class SendNotice(SendCode):
    """A request to tell a number what was done to its account, in plain text; has a text and no code."""

    code: str = Field("", max_length=0)
    text: str = Field(min_length=1, max_length=500, repr=False, description="without the signature")


class SendNoticeV1(BaseModel):
    """A request to tell a number what was done to its account; number and text are sealed.

    Published only where a template is set, which is done once all workers know this type.
    """

    model_config = _MODEL
    TYPE: ClassVar[str] = "sms.send_notice.v1"

    message_id: str = Field(min_length=1, max_length=64)
    sealed: str = Field(
        description="nonce and AES-256-GCM of the JSON object of mobile and text, base64url;"
        " bound to the type and the message_id",
        repr=False,
    )
    purpose: Purpose = Field(description="what the account was changed by")
    created_at: AwareDatetime = Field(description="when the account was changed, UTC")
    expires_at: AwareDatetime = Field(description="not sent after that, UTC")


def wire_type(message: SendCode) -> str:
    """Return the type that a message is encoded as."""
    return SendNoticeV1.TYPE if isinstance(message, SendNotice) else SendCodeV2.TYPE


def encode_send_code(message: SendCode, sealer: Sealer) -> bytes:
    """Encode a message in the current version: `SendCodeV2`, or `SendNoticeV1` for a notice.

    Everything is sealed, also what is not secret: otherwise somebody else with an account on the broker
    could prolong a message.
    """
    if isinstance(message, SendNotice):
        return _encode_notice(message, sealer)
    former = _FORMER_NAMES.get(message.purpose)
    names = {"purpose": former or message.purpose, "exact_purpose": message.purpose if former else None}
    secret = json.dumps({**message.model_dump(mode="json"), **names}).encode()
    return (
        SendCodeV2(
            sealed=sealer.seal(secret, _context(message)),
            **names,
            **message.model_dump(exclude={*_SEALED, "purpose"}),
        )
        .model_dump_json(exclude_none=True)
        .encode()
    )


def _encode_notice(message: SendNotice, sealer: Sealer) -> bytes:
    secret = message.model_dump_json().encode()
    sealed = sealer.seal(secret, _context(message))
    wire = SendNoticeV1(sealed=sealed, **message.model_dump(exclude=_SEALED_NOTICE))
    return wire.model_dump_json().encode()


def decode_send_code(message_type: str | None, body: bytes, sealer: Sealer) -> SendCode:
    """Decode a message of the current or the previous version; a `SendNotice` is one, too.

    Raises:
        UnreadableMessage: the type is unknown, the body does not match its schema, or none of this
            process's secrets opens it.
    """
    if message_type == SendCodeV1.TYPE:
        return _parse(SendCodeV1.model_validate_json, message_type, body)
    if message_type == SendCodeV2.TYPE:
        return _open(_parse(SendCodeV2.model_validate_json, message_type, body), SendCode, sealer)
    if message_type == SendNoticeV1.TYPE:
        return _open(_parse(SendNoticeV1.model_validate_json, message_type, body), SendNotice, sealer)
    raise UnreadableMessage("unknown message type")


def _open(wire: SendCodeV2 | SendNoticeV1, model: type[SendCode], sealer: Sealer) -> SendCode:
    try:
        secret = sealer.open(wire.sealed, f"{wire.TYPE} {wire.message_id}")
    except CannotOpen as error:
        raise UnreadableMessage(f"sealed {wire.TYPE}: no secret opens it") from error
    try:
        whole = {**vars(wire), **json.loads(secret)}
    except (ValueError, TypeError) as error:
        raise UnreadableMessage(f"malformed {wire.TYPE}: sealed") from error
    # A purpose of a later version stays what it is called for this one.
    if whole.get("exact_purpose") in _PURPOSES:
        whole["purpose"] = whole["exact_purpose"]
    return _parse(model.model_validate, wire.TYPE, whole)


def _context(message: SendCode) -> str:
    return f"{wire_type(message)} {message.message_id}"


def _parse(validate: Callable[[_Content], _Model], message_type: str, content: _Content) -> _Model:
    try:
        return validate(content)
    except ValidationError as error:
        paths = ", ".join(sorted({_path(problem["loc"]) for problem in error.errors()}))
        raise UnreadableMessage(f"malformed {message_type}: {paths}") from error


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "body"
