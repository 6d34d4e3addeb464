"""A stand-in for the SMS provider."""

from dataclasses import dataclass, field
from datetime import datetime

from services.sms.provider.base import (
    UNAVAILABLE,
    Answer,
    OnFailover,
    Outgoing,
    SearchResult,
    SendStatus,
)


@dataclass
class FakeProvider:
    """Gives its answers in turn, and keeps the messages, the bound accounts and the searches."""

    answers: list[Answer] = field(default_factory=lambda: [Answer(SendStatus.ACCEPTED, "0", "main", "1")])
    found: SearchResult = UNAVAILABLE
    sent: list[Outgoing] = field(default_factory=list)
    only_accounts: list[str | None] = field(default_factory=list)
    searches: list[tuple[str, str, str, datetime]] = field(default_factory=list)

    accounts: tuple[str, ...] = ("main",)

    async def send(
        self, message: Outgoing, on_failover: OnFailover, *, only_account: str | None = None
    ) -> Answer:
        self.sent.append(message)
        self.only_accounts.append(only_account)
        return self.answers.pop(0)

    async def find(self, account: str, message: Outgoing, since: datetime) -> SearchResult:
        self.searches.append((account, message.mobile, message.text, since))
        return self.found
