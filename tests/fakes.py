"""In-memory stand-ins for the ports, one class each; no mock library."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.auth.domain import AuditEntry, NewUser, Session, User
from services.auth.errors import (
    AlreadyRegistered,
    InvalidCode,
    Overloaded,
    SmsUnavailable,
    Suspicious,
    TooManyAttempts,
)
from services.auth.ports import Journal
from services.sms.ports import UNKNOWN, Announce, Answer, Found, Outgoing, Verdict
from services.sms.records import (
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
from services.sms.reports import Reported, StatusReport
from shared.access_tokens import AccessToken
from shared.errors import Unavailable
from shared.events import DomainEvent, EndReason
from shared.message_status import MessageStatus
from shared.messages import Purpose, SendCode

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@dataclass
class FakeRecords:
    """Events and audit entries in two lists; a transaction that fails takes back what it added."""

    events: list[DomainEvent] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.transaction, FakeEvents(self.events), FakeAudit(self.entries))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        before = len(self.events), len(self.entries)
        try:
            yield
        except BaseException:
            del self.events[before[0] :], self.entries[before[1] :]
            raise


@dataclass
class FakeEvents:
    """Appends to a list."""

    rows: list[DomainEvent]

    async def record(self, event: DomainEvent) -> None:
        self.rows.append(event)


@dataclass
class FakeAudit:
    """Appends to a list."""

    rows: list[AuditEntry]

    async def record(self, entry: AuditEntry) -> None:
        self.rows.append(entry)

    async def forget(self, user_id: int, mobile: str) -> None:
        self.rows[:] = [
            replace(row, mobile="") if row.user_id == user_id or row.mobile == mobile else row
            for row in self.rows
        ]


@dataclass
class FakeUsers:
    """Accounts in a list; `down` makes storing fail."""

    rows: list[User] = field(default_factory=list)
    ended_sessions: set[str] = field(default_factory=set)
    down: bool = False

    async def add(self, user: NewUser) -> int:
        if self.down:
            raise Unavailable
        if await self.find_by_mobile(user.mobile):
            raise AlreadyRegistered
        user_id = len(self.rows) + 1
        self.rows.append(
            User(user_id, user.mobile, user.password_hash, user.nickname, user.avatar, None, user.created_at)
        )
        return user_id

    async def find_by_mobile(self, mobile: str) -> User | None:
        return next((row for row in self.rows if row.mobile == mobile), None)

    async def find_by_id(self, user_id: int) -> User | None:
        return next((row for row in self.rows if row.id == user_id), None)

    async def find_by_session(self, user_id: int, session_id: str) -> User | None:
        return None if session_id in self.ended_sessions else await self.find_by_id(user_id)

    async def replace_password_hash(self, user_id: int, old: str, new: str) -> bool:
        if self.down:
            raise Unavailable
        before = self.rows[:]
        self.rows = [
            replace(row, password_hash=new) if (row.id, row.password_hash) == (user_id, old) else row
            for row in before
        ]
        return self.rows != before

    async def lock(self, user_id: int) -> User | None:
        return await self.find_by_id(user_id)

    async def save(self, user: User) -> None:
        if any(row.mobile == user.mobile and row.id != user.id for row in self.rows):
            raise AlreadyRegistered
        self.rows[:] = [user if row.id == user.id else row for row in self.rows]

    async def remove(self, user_id: int) -> None:
        self.rows[:] = [row for row in self.rows if row.id != user_id]


@dataclass
class FakeSessions:
    """Sessions by id, and the reasons why others ended."""

    rows: dict[str, Session] = field(default_factory=dict)
    ended: dict[str, EndReason] = field(default_factory=dict)

    async def add(self, session: Session) -> None:
        self.rows[session.id] = session

    async def lock(self, session_id: str) -> Session | None:
        return self.rows.get(session_id)

    async def save(self, session: Session) -> None:
        self.rows[session.id] = session

    async def of_user(self, user_id: int, now: datetime) -> list[Session]:
        return [row for row in self.rows.values() if row.user_id == user_id and row.expires_at > now]

    async def end(self, user_id: int, session_id: str, *, reason: EndReason, now: datetime) -> bool:
        session = self.rows.get(session_id)
        if session is None or session.user_id != user_id:
            return False
        del self.rows[session_id]
        self.ended[session_id] = reason
        return True

    async def end_all(self, user_id: int, *, keep: str | None, reason: EndReason, now: datetime) -> int:
        own = [row.id for row in self.rows.values() if row.user_id == user_id and row.id != keep]
        return sum([await self.end(user_id, one, reason=reason, now=now) for one in own])


@dataclass
class FakePasswords:
    """A hash is its parameters and the password; every computation is counted; `full` refuses to hash."""

    computations: int = 0
    parameters: str = "hash"
    full: bool = False

    async def hash(self, password: str) -> str:
        if self.full:
            raise Overloaded
        self.computations += 1
        return f"{self.parameters}:{password}"

    def outdated(self, hashed: str) -> bool:
        return not hashed.startswith(f"{self.parameters}:")

    async def verify(self, password: str, hashed: str | None) -> bool:
        self.computations += 1
        return hashed is not None and hashed.partition(":")[2] == password


@dataclass
class FakeSignInGuard:
    """Notes what came of each attempt; `shut` refuses them."""

    outcomes: list[str] = field(default_factory=list)
    shut: bool = False

    @asynccontextmanager
    async def attempt(self, mobile: str, address: str) -> AsyncIterator[None]:
        if self.shut:
            raise TooManyAttempts
        try:
            yield
        except BaseException as error:
            self.outcomes.append(type(error).__name__)
            raise
        self.outcomes.append("right")


class FakeTokens:
    """A token is the user's id after a colon; its session is always the same."""

    def issue(self, user: User, session_id: str, now: datetime, expires_at: datetime) -> str:
        return f"token:{user.id}"

    def verify(self, token: str) -> AccessToken:
        return AccessToken(int(token.removeprefix("token:")), "session", 0)


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
