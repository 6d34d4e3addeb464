"""Stand-ins for what the SMS worker records and calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.sms.delivery.models import (
    FINAL,
    SUPERSEDED,
    Acceptance,
    Attempt,
    Claim,
    Doubt,
    Record,
    Standing,
    State,
    Trace,
)
from services.sms.provider.base import UNKNOWN, Announce, Answer, Found, Outgoing, Verdict
from services.sms.reports.service import Reported, StatusReport


@dataclass
class FakeRecord:
    """What the ledger knows of one message."""

    state: State
    attempts: int = 0
    token: str = ""
    doubt: Doubt | None = None
    resent: bool = False
    detail: str = ""
    acceptance: Acceptance | None = None


@dataclass
class FakeLedger:
    """Records in a dictionary, under the rules of the real one; `states` is the history of each."""

    records: dict[str, FakeRecord] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    announced: list[str] = field(default_factory=list)

    async def claim(self, message_id: str, claim: Claim, attempt: Attempt, trace: Trace) -> Record:
        known = self.records.get(message_id)
        if known and known.token == attempt.token:
            return Record(known.state, known.attempts, granted=True, doubt=None, resent=known.resent)
        if known and known.state in FINAL:
            return Record(known.state, known.attempts, granted=False, doubt=None, resent=known.resent)
        attempts, doubt = (known.attempts, known.doubt) if known else (0, None)
        if attempts < trace.attempts or (known is None and trace.redelivered):
            attempts, doubt = trace.attempts, Doubt(trace.since, trace.account)
        resent = trace.resent or (known is not None and known.resent) or claim is Claim.ANEW
        state = known.state if known else None
        if claim is Claim.LOOK or (claim is Claim.FIRST and doubt is not None):
            return Record(state, attempts, granted=False, doubt=doubt, resent=resent)
        if claim is not Claim.AGAIN:
            doubt = Doubt(attempt.at, attempt.account)
        self._write(message_id, FakeRecord("attempting", attempts + 1, attempt.token, doubt, resent))
        return Record("attempting", attempts + 1, granted=True, doubt=None, resent=resent)

    async def announce(self, message_id: str, attempt: Attempt, account: str) -> None:
        self.announced.append(account)
        known = self.records[message_id]
        if known.token == attempt.token and known.doubt:
            known.doubt = Doubt(known.doubt.since, account)

    async def stand(self, message_id: str, standing: Standing, attempt: Attempt | None = None) -> str:
        known = self.records.get(message_id)
        if known and known.state in FINAL:
            return known.state
        if known and attempt and known.token != attempt.token:
            return SUPERSEDED
        token, resent = (known.token, known.resent) if known else ("", False)
        self._write(
            message_id,
            FakeRecord(standing.state, standing.attempts, token, standing.doubt, resent, standing.detail),
        )
        return standing.state

    async def accept(self, message_id: str, acceptance: Acceptance) -> bool:
        known = self.records.get(message_id)
        before = known.acceptance if known else None
        if before and (before.sid or not acceptance.sid):
            return acceptance.sid in {"", before.sid}
        record = FakeRecord("accepted", acceptance.attempts, acceptance=acceptance)
        self._write(message_id, record)
        return True

    def _write(self, message_id: str, record: FakeRecord) -> None:
        self.records[message_id] = record
        self.states.setdefault(message_id, []).append(record.state)


@dataclass
class FakeProvider:
    """Gives its answers in turn; keeps what it was asked to send, and to whom it was bound."""

    answers: list[Answer] = field(default_factory=lambda: [Answer(Verdict.ACCEPTED, "0", "main", "1")])
    found: Found = UNKNOWN
    sent: list[Outgoing] = field(default_factory=list)
    only_accounts: list[str | None] = field(default_factory=list)
    searches: list[tuple[str, str, str, datetime]] = field(default_factory=list)

    accounts: tuple[str, ...] = ("main",)

    async def send(self, message: Outgoing, announce: Announce, *, only_account: str | None = None) -> Answer:
        self.sent.append(message)
        self.only_accounts.append(only_account)
        return self.answers.pop(0)

    async def find(self, account: str, mobile: str, text: str, since: datetime) -> Found:
        self.searches.append((account, mobile, text, since))
        return self.found


@dataclass
class FakeReportBook:
    """Does the same with every report, and keeps what it was given."""

    effect: Reported
    stored: list[tuple[str, StatusReport]] = field(default_factory=list)

    async def report(self, reports: Sequence[StatusReport], account: str) -> Sequence[Reported]:
        self.stored += [(account, report) for report in reports]
        return [self.effect for _ in reports]
