"""Stand-ins for what accounts and sessions are kept in and secured by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.auth.errors import (
    AlreadyRegistered,
    Overloaded,
    TooManyAttempts,
)
from services.auth.models import AuditEntry, NewUser, Session, User
from services.auth.ports import Journal
from shared.contracts.events import DomainEvent, EndReason
from shared.errors import Unavailable
from shared.security.access_tokens import AccessToken


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
