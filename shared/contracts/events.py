"""Events about accounts, published on the exchange `auth.events`.

They are versioned and typed like the messages of `shared.contracts.messages`; their JSON schemas are in
`shared/contracts/schemas/`. The routing key is the type without its version, so that a queue bound to
`user.*` or `session.ended` still gets its events when a version is added. Delivery is at least once:
copies have the same `event_id`. The events of one user arrive in order.
"""

import secrets
from datetime import datetime
from typing import Any, ClassVar, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.messages import UnreadableMessage

EVENTS_EXCHANGE = "auth.events"

SignInMethod = Literal["password", "code"]
EndReason = Literal[
    "signed_out", "ended_by_user", "token_reused", "password_reset", "password_changed", "deleted", "disabled"
]

# More exact than a reason. Consumers of the version before know the reasons above and no others.
EndCause = EndReason | Literal["mobile_changed", "too_many_sessions"]

_MASKED = Field(description="masked: the full number is never in an event", examples=["138****0000"])


class DomainEvent(BaseModel):
    """Base of the events."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    TYPE: ClassVar[str]

    event_id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern="^[0-9a-f]{32}$")
    occurred_at: datetime = Field(description="UTC")
    user_id: int


class UserRegistered(DomainEvent):
    """An account was created."""

    TYPE: ClassVar[str] = "user.registered.v1"
    mobile: str = _MASKED
    method: SignInMethod = Field(description="password: by registering; code: by a first sign-in with a code")


class UserDeleted(DomainEvent):
    """An account and its personal data were deleted; the last event of the user."""

    TYPE: ClassVar[str] = "user.deleted.v1"


class UserDisabled(DomainEvent):
    """An operator disabled an account."""

    TYPE: ClassVar[str] = "user.disabled.v1"


class UserEnabled(DomainEvent):
    """An operator enabled a disabled account."""

    TYPE: ClassVar[str] = "user.enabled.v1"


class ProfileChanged(DomainEvent):
    """A user changed nickname or avatar."""

    TYPE: ClassVar[str] = "profile.changed.v1"
    members: list[Literal["nickname", "avatar"]] = Field(description="what was changed")


class MobileChanged(DomainEvent):
    """The number of an account was changed."""

    TYPE: ClassVar[str] = "mobile.changed.v1"
    mobile: str = _MASKED


class PasswordChanged(DomainEvent):
    """The password of an account was changed."""

    TYPE: ClassVar[str] = "password.changed.v1"
    method: Literal["change", "reset"]


class SessionStarted(DomainEvent):
    """A user signed in."""

    TYPE: ClassVar[str] = "session.started.v1"
    session_id: str
    method: SignInMethod


class SessionEnded(DomainEvent):
    """A session was ended; a session that expires has no event."""

    TYPE: ClassVar[str] = "session.ended.v1"
    session_id: str
    reason: EndReason
    cause: str | None = Field(
        None,
        exclude_if=lambda cause: cause is None,
        description="more exact than the reason `ended_by_user`: mobile_changed, too_many_sessions",
    )


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
_MODELS = {event.TYPE: event for event in EVENTS}


def session_ended(user_id: int, occurred_at: datetime, session_id: str, cause: EndCause) -> SessionEnded:
    """Return the event of a session that ended for a cause, which may be no reason."""
    ended: dict[str, Any] = {"user_id": user_id, "occurred_at": occurred_at, "session_id": session_id}
    if cause in get_args(EndReason):
        return SessionEnded(reason=cast("EndReason", cause), **ended)
    return SessionEnded(reason="ended_by_user", cause=cause, **ended)


def routing_key(event_type: str) -> str:
    """Return the routing key of a type: the type without its version."""
    return event_type.rpartition(".")[0]


def decode_event(event_type: str | None, body: bytes) -> DomainEvent:
    """Decode an event; for consumers.

    Raises:
        UnreadableMessage: the type is unknown or the body does not match its schema.
    """
    model = _MODELS.get(event_type or "")
    if model is None:
        raise UnreadableMessage("unknown event type")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(f"malformed {event_type}") from error
