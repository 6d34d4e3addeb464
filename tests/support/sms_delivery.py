"""A worker's use case with fakes around it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.sms.delivery.ladder import Ladder
from services.sms.delivery.models import Trace
from services.sms.delivery.outcomes import Delivery
from services.sms.delivery.reconciliation import DoubtPolicy, Doubts
from services.sms.delivery.service import Courier, text_composer
from services.sms.provider.base import UNKNOWN, Answer, Filtered, Found, Outgoing, Search, Verdict
from shared.contracts.messages import SendCode
from tests.support.fakes import NOW, FakeLedger, FakeProvider

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
ACCEPTED = Answer(Verdict.ACCEPTED, "0", "main", "7", 1)
SAME_TEXT = Answer(Verdict.LIMITED, "8", "main", filtered=Filtered.STRONG)
TOO_OFTEN = Answer(Verdict.LIMITED, "33", "main", filtered=Filtered.WEAK)
TIMEOUT = Answer(Verdict.AMBIGUOUS, "timeout", "main")
BUSY = Answer(Verdict.RETRY, "-51", "main")
UNHEARD_OF = Answer(Verdict.RETRY, "4711", "main", once=True)
BLOCKED = Answer(Verdict.PERMANENT, "10", "main")
HALTED = Answer(Verdict.HALTED, "3", "main")
FOUND = Found(Search.FOUND, "7")


@dataclass
class Case:
    """A worker with fakes around it, and a clock to be turned."""

    provider: FakeProvider = field(default_factory=FakeProvider)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    message: SendCode = MESSAGE
    now: datetime = NOW

    def after(self, seconds: float) -> "Case":
        self.now += timedelta(seconds=seconds)
        return self

    def answering(self, *answers: Answer, found: Found = UNKNOWN) -> "Case":
        self.provider.answers = list(answers)
        self.provider.found = found
        return self

    async def deliver(self, trace: Trace | None = None) -> Delivery:
        compose = text_composer("Dialpass", "Your code is {code}.")
        courier = Courier(
            provider=self.provider,
            ledger=self.ledger,
            doubts=Doubts(self.provider, compose, DoubtPolicy(WINDOW, LAG), lambda: self.now),
            compose=compose,
            ladder=Ladder((5.0, 15.0, 60.0), max),
            clock=lambda: self.now,
        )
        return await courier.deliver(self.message, trace or Trace(0, NOW))

    @property
    def states(self) -> list[str]:
        return self.ledger.states.get("m1", [])
