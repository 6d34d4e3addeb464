"""Signing in, refreshing and ending over fakes, with a clock that a test moves."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.auth.models import Caller, Client, SignedIn, User
from services.auth.sessions.callers import identify
from services.auth.sessions.refreshing import refresh
from services.auth.sessions.rotation import SessionPolicy
from services.auth.sessions.session_ending import end_others, end_session
from services.auth.sign_in.code_sign_in import sign_in_with_code
from services.auth.sign_in.service import sign_in
from tests.support.fakes import (
    NOW,
    FakeCodes,
    FakePasswords,
    FakeRecords,
    FakeSessions,
    FakeSignInGuard,
    FakeTokens,
    FakeUsers,
)

MOBILE = "13800000000"
PASSWORD = "correct horse"
USER = User(1, MOBILE, f"hash:{PASSWORD}", None, None, None, NOW)
CLIENT = Client("192.0.2.1", "test", "request-1")
POLICY = SessionPolicy(
    access=timedelta(minutes=15), refresh=timedelta(days=7), total=timedelta(days=90),
    grace=timedelta(seconds=10),
)  # fmt: skip


@dataclass
class Desk:
    """Everything that deals with sessions."""

    users: FakeUsers = field(default_factory=lambda: FakeUsers([USER]))
    codes: FakeCodes = field(default_factory=FakeCodes)
    passwords: FakePasswords = field(default_factory=FakePasswords)
    guard: FakeSignInGuard = field(default_factory=FakeSignInGuard)
    sessions: FakeSessions = field(default_factory=FakeSessions)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    records: FakeRecords = field(default_factory=FakeRecords)
    policy: SessionPolicy = POLICY
    now: datetime = NOW

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    async def sign_in(self, password: str = PASSWORD, mobile: str = MOBILE) -> SignedIn:
        return await sign_in(
            mobile, password, CLIENT,
            guard=self.guard, users=self.users, passwords=self.passwords, sessions=self.sessions,
            tokens=self.tokens, journal=self.records.journal, policy=self.policy, clock=lambda: self.now,
        )  # fmt: skip

    async def sign_in_with_code(
        self, code: str = "123456", mobile: str = MOBILE, *, creates_accounts: bool = True
    ) -> SignedIn:
        return await sign_in_with_code(
            mobile, code, CLIENT, creates_accounts=creates_accounts,
            codes=self.codes, users=self.users, sessions=self.sessions, tokens=self.tokens,
            journal=self.records.journal, policy=self.policy, clock=lambda: self.now,
        )  # fmt: skip

    async def refresh(self, token: str) -> SignedIn:
        return await refresh(
            token, CLIENT,
            sessions=self.sessions, users=self.users, tokens=self.tokens,
            journal=self.records.journal, policy=self.policy, clock=lambda: self.now,
        )  # fmt: skip

    async def identify(self, token: str | None) -> Caller:
        return await identify(token, tokens=self.tokens, users=self.users)

    async def end(self, caller: Caller, session_id: str) -> None:
        await end_session(
            caller, session_id, CLIENT, reason="ended_by_user",
            users=self.users, sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def end_others(self, caller: Caller) -> None:
        await end_others(
            caller, CLIENT,
            users=self.users, sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    @property
    def acts(self) -> list[str]:
        return [entry.action for entry in self.records.entries]
