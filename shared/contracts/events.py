"""What happens to accounts, told to whoever wants to know: the events on the exchange `auth.events`.

Versioned and typed as the messages of `shared.contracts.messages` are, with their JSON schemas in
`shared/contracts/schemas/`. The routing key is the type without its version, so that a queue bound to
`user.*` or `session.ended` keeps what it gets when a version is added. An event may arrive more than once:
`event_id` tells copies apart. The events of one user arrive in the order in which they happened.
"""

import secrets
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.messages import UnreadableMessage

EVENTS_EXCHANGE = "auth.events"

SignInMethod = Literal["password", "code"]
EndReason = Literal[
    "signed_out", "ended_by_user", "token_reused", "password_reset", "password_changed", "deleted", "disabled"
]

_MASKED = Field(description="masked: the full number is never in an event", examples=["138****0000"])


class DomainEvent(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    TYPE: ClassVar[str]

    event_id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern="^[0-9a-f]{32}$")
    occurred_at: datetime = Field(description="UTC")
    user_id: int


class UserRegistered(DomainEvent):
    """An account was made."""

    TYPE: ClassVar[str] = "user.registered.v1"
    mobile: str = _MASKED
    method: SignInMethod = Field(description="password: by registering; code: by a first sign-in with a code")


class UserDeleted(DomainEvent):
    """An account and its personal data are gone; the last event of its user."""

    TYPE: ClassVar[str] = "user.deleted.v1"


class UserDisabled(DomainEvent):
    """An operator has disabled an account."""

    TYPE: ClassVar[str] = "user.disabled.v1"


class UserEnabled(DomainEvent):
    """An operator has enabled a disabled account again."""

    TYPE: ClassVar[str] = "user.enabled.v1"


class ProfileChanged(DomainEvent):
    """A user has changed nickname or avatar."""

    TYPE: ClassVar[str] = "profile.changed.v1"
    members: list[Literal["nickname", "avatar"]] = Field(description="what was changed")


class MobileChanged(DomainEvent):
    """An account has another number."""

    TYPE: ClassVar[str] = "mobile.changed.v1"
    mobile: str = _MASKED


class PasswordChanged(DomainEvent):
    """An account has another password."""

    TYPE: ClassVar[str] = "password.changed.v1"
    method: Literal["change", "reset"]


class SessionStarted(DomainEvent):
    """A user has signed in."""

    TYPE: ClassVar[str] = "session.started.v1"
    session_id: str
    method: SignInMethod


class SessionEnded(DomainEvent):
    """A session was ended before its time; one that runs out says nothing."""

    TYPE: ClassVar[str] = "session.ended.v1"
    session_id: str
    reason: EndReason


EVENTS: tuple[type[DomainEvent], ...] = (
    UserRegistered,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    ProfileChanged,
    MobileChanged,
    PasswordChanged,
    SessionStarted,
    SessionEnded,
)
_READABLE = {event.TYPE: event for event in EVENTS}


def routing_key(event_type: str) -> str:
    """Return what queues are bound by: the type without its version."""
    return event_type.rpartition(".")[0]


def decode_event(event_type: str | None, body: bytes) -> DomainEvent:
    """Return the event in `body`, for consumers.

    Raises:
        UnreadableMessage: the type is unknown or the body does not fit its schema.
    """
    model = _READABLE.get(event_type or "")
    if model is None:
        raise UnreadableMessage("unknown event type")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(f"malformed {event_type}") from error
