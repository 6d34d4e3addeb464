"""The delivery of messages with a fake provider and clock, on the real repository, and messages on record."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.delivery.models import (
    Acceptance,
    AcceptanceResult,
    Attempt,
    AttemptHistory,
    Claim,
    DeliveryResult,
    Outcome,
    Record,
    UnknownOutcome,
)
from services.sms.delivery.reconciliation import Reconciler, ReconciliationPolicy
from services.sms.delivery.repository import MessageRepository
from services.sms.delivery.retries import RetrySchedule
from services.sms.delivery.service import DeliveryService
from services.sms.delivery.texts import text_composer, text_keys
from services.sms.provider.base import (
    UNAVAILABLE,
    Answer,
    DuplicateHint,
    Outgoing,
    SearchResult,
    SearchStatus,
    SendStatus,
)
from services.sms.reports.service import ReportService
from shared.clock import now
from shared.contracts.messages import SendCode
from shared.observability.metrics import ReportMetrics
from tests.support.clock import NOW
from tests.support.fake_provider import FakeProvider

WINDOW, LAG = 20, 60
MESSAGE = SendCode(
    message_id="m1",
    mobile="13800000000",
    code="123456",
    purpose="register",
    created_at=NOW,
    expires_at=NOW + timedelta(seconds=600),
)
TEXT = "【Dialpass】Your code is 123456."
OUTGOING = Outgoing("m1", "13800000000", TEXT, "123456", "sms", MESSAGE.expires_at)
ACCEPTED = Answer(SendStatus.ACCEPTED, "0", "main", "7", 1)
SAME_TEXT = Answer(SendStatus.LIMITED, "8", "main", duplicate_hint=DuplicateHint.CERTAIN)
TOO_OFTEN = Answer(SendStatus.LIMITED, "33", "main", duplicate_hint=DuplicateHint.LIKELY)
TIMEOUT = Answer(SendStatus.UNKNOWN, "timeout", "main")
BUSY = Answer(SendStatus.RETRY, "connect", "main")
UNKNOWN_CODE = Answer(SendStatus.UNKNOWN, "4711", "main")
REJECTED = Answer(SendStatus.REJECTED, "10", "main", of_number=True)
DEFERRED = Answer(SendStatus.DEFERRED, "3", "main")
FOUND = SearchResult(SearchStatus.FOUND, "7")


class ObservedRepository(MessageRepository):
    """Keeps the states that its writes leave in Redis."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.states: list[str] = []

    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, history: AttemptHistory) -> Record:
        before = await self.fields(message_id)
        record = await super().claim(message_id, claim, attempt, history)
        if (after := await self.fields(message_id)) != before:
            self.states.append(after["state"])
        return record

    async def record_outcome(self, message_id: str, outcome: Outcome, attempt: Attempt | None = None) -> str:
        before = await self.fields(message_id)
        state = await super().record_outcome(message_id, outcome, attempt)
        if (after := await self.fields(message_id)) != before:
            self.states.append(after["state"])
        return state

    async def record_acceptance(self, message_id: str, acceptance: Acceptance) -> AcceptanceResult:
        result = await super().record_acceptance(message_id, acceptance)
        self.states.append((await self.fields(message_id))["state"])
        return result


@dataclass
class DeliveryHarness:
    """Delivers one message with a fake provider, and a clock that the test advances."""

    redis: Redis
    provider: FakeProvider = field(default_factory=FakeProvider)
    message: SendCode = MESSAGE
    now: datetime = NOW
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.repository = ObservedRepository(self.redis)
        self.reports = ReportService(self.repository, ReportMetrics(self.registry), lambda: self.now)

    def after(self, seconds: float) -> "DeliveryHarness":
        self.now += timedelta(seconds=seconds)
        return self

    def answering(self, *answers: Answer, found: SearchResult = UNAVAILABLE) -> "DeliveryHarness":
        self.provider.answers = list(answers)
        self.provider.found = found
        return self

    async def deliver(self, history: AttemptHistory | None = None) -> DeliveryResult:
        compose = text_composer("Dialpass", "Your code is {code}.")
        policy = ReconciliationPolicy(WINDOW, LAG)
        service = DeliveryService(
            provider=self.provider,
            repository=self.repository,
            reports=self.reports,
            reconciler=Reconciler(self.provider, compose, policy, lambda: self.now),
            compose=compose,
            schedule=RetrySchedule((5.0, 15.0, 60.0), max),
            clock=lambda: self.now,
            text_key=text_keys("a secret"),
        )
        return await service.deliver(self.message, history or AttemptHistory(0, NOW))

    @property
    def states(self) -> list[str]:
        """The states of the message's record, one for each write."""
        return self.repository.states

    async def unknown(self) -> UnknownOutcome | None:
        """Return the attempt of unknown outcome that is on record."""
        attempt = Attempt(secrets.token_hex(8), self.now, "main")
        history = AttemptHistory(0, NOW)
        record = await MessageRepository(self.redis).claim("m1", Claim.READ, attempt, history)
        return record.unknown


def acceptance(sid: str, account: str = "main", accepted_at: datetime | None = None) -> Acceptance:
    return Acceptance(account, sid, accepted_at or now(), 1, 1, Decimal("0.05"), "86", "138")


async def accepted(repository: MessageRepository, sid: str, account: str = "main") -> str:
    """Put an accepted message on record; return its id."""
    message_id = secrets.token_hex(16)
    await repository.record_acceptance(message_id, acceptance(sid, account))
    return message_id
