"""Messages between the services: versioned, typed, with their JSON schemas in `shared/schemas/`.

A new optional member keeps the version; readers ignore members they do not know. A breaking change
is a new class with the next version: consumers learn it first, keep accepting the one before for a
release, then the producer switches.
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Purpose = Literal["register", "login", "reset", "change_mobile", "delete"]
Channel = Literal["sms", "voice"]


class UnreadableMessage(ValueError):
    """A message of an unknown type or a malformed body; `reason` says which, without values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendCodeV1(BaseModel):
    """A request to send a code to a phone number."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    TYPE: ClassVar[str] = "sms.send_code.v1"

    message_id: str = Field(min_length=1, max_length=64)
    mobile: str = Field(
        pattern=r"^(1[3-9][0-9]{9}|\+[1-9][0-9]{6,14})$",
        description="11 digits for mainland numbers, else E.164 with +",
    )
    code: str = Field(pattern=r"^[0-9]{4,8}$", repr=False)
    purpose: Purpose
    channel: Channel = "sms"
    created_at: datetime = Field(description="when the code was asked for, UTC")
    expires_at: datetime = Field(description="when the code stops working, UTC; not sent after that")


_READABLE: dict[str, type[SendCodeV1]] = {SendCodeV1.TYPE: SendCodeV1}


def decode_send_code(message_type: str | None, body: bytes) -> SendCodeV1:
    """Return the message in `body`.

    Raises:
        UnreadableMessage: the type is unknown or the body does not fit its schema.
    """
    model = _READABLE.get(message_type or "")
    if model is None:
        raise UnreadableMessage("unknown message type")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        where = ", ".join(sorted({_place(problem["loc"]) for problem in error.errors()}))
        raise UnreadableMessage(f"malformed {message_type}: {where}") from error


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "body"
