"""Bodies of the requests and answers about codes."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from services.auth.http.fields import ChallengeSolution, Mobile, RequestBody, Timestamp
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Channel, Purpose


class CodeRequest(RequestBody):
    """`POST /code/`."""

    mobile: Mobile
    purpose: Purpose = "register"
    channel: Channel = "sms"
    challenge: ChallengeSolution | None = Field(
        None,
        description="what ALTCHA's widget makes of the challenge that an earlier answer carried",
    )


class CodeResponse(BaseModel):
    """The answer to `POST /code/`; times in seconds."""

    model_config = ConfigDict(from_attributes=True)

    message_id: str
    expires_in: int
    resend_after: int


class CodeStatusResponse(BaseModel):
    """The answer to `GET /code/{message_id}/`."""

    message_id: str
    status: Literal["queued", "sent", "delivered", "failed", "expired", "limited"]
    updated_at: Timestamp

    @classmethod
    def of(cls, message_id: str, status: MessageStatus) -> Self:
        """Return the answer for the state of a message."""
        return cls(message_id=message_id, status=status.state, updated_at=status.updated_at)
