"""Stand-ins for what codes are kept in and sent by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from services.auth.errors import (
    AlreadyRegistered,
    InvalidCode,
    SmsUnavailable,
    Suspicious,
)
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Purpose, SendCode


@dataclass
class FakeCodes:
    """One right code for every number; `suspicious` wants a challenge solved; notes what was given back."""

    right: str = "123456"
    suspicious: bool = False
    released: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)

    async def issue(
        self, mobile: str, purpose: Purpose, request: str, *, address: str, solved: str | None
    ) -> str:
        if self.suspicious and solved is None:
            raise Suspicious
        return self.right

    async def release_cooldown(self, mobile: str, request: str) -> None:
        self.released.append(mobile)

    @asynccontextmanager
    async def consuming(self, mobile: str, purpose: Purpose, code: str, address: str) -> AsyncIterator[None]:
        if code != self.right:
            raise InvalidCode
        try:
            yield
        except (InvalidCode, AlreadyRegistered):
            raise
        except BaseException:
            self.given_back.append(mobile)
            raise


class FakeChallenges:
    """A challenge is the number that it is good for, and so is its solution."""

    def make(self, mobile: str) -> dict[str, object]:
        return {"for": mobile}

    async def solved(self, payload: str | None, mobile: str) -> str | None:
        return payload if payload == mobile else None


@dataclass
class FakeStatuses:
    """Message states in a dictionary, with the history of each."""

    history: dict[str, list[MessageStatus]] = field(default_factory=dict)

    async def put(self, message_id: str, status: MessageStatus) -> None:
        self.history.setdefault(message_id, []).append(status)

    async def abandon(self, message_id: str, at: datetime) -> None:
        if self.states(message_id)[-1:] == ["queued"]:
            await self.put(message_id, MessageStatus("failed", at))

    async def get(self, message_id: str) -> MessageStatus | None:
        return self.history.get(message_id, [None])[-1]

    def states(self, message_id: str) -> list[str]:
        return [status.state for status in self.history.get(message_id, [])]


@dataclass
class FakeSmsQueue:
    """Keeps what is published; `down` refuses it."""

    published: list[SendCode] = field(default_factory=list)
    down: bool = False

    async def publish(self, message: SendCode) -> None:
        if self.down:
            raise SmsUnavailable
        self.published.append(message)
