"""In-memory stand-ins for the ports, one class each; no mock library."""

from tests.support.fakes.accounts import (
    FakeAudit,
    FakeEvents,
    FakePasswords,
    FakeRecords,
    FakeSessions,
    FakeSignInGuard,
    FakeTokens,
    FakeUsers,
)
from tests.support.fakes.codes import FakeChallenges, FakeCodes, FakeSmsQueue, FakeStatuses
from tests.support.fakes.sms import FakeProvider
from tests.support.fakes.time import NOW, clock

__all__ = [
    "NOW",
    "FakeAudit",
    "FakeChallenges",
    "FakeCodes",
    "FakeEvents",
    "FakePasswords",
    "FakeProvider",
    "FakeRecords",
    "FakeSessions",
    "FakeSignInGuard",
    "FakeSmsQueue",
    "FakeStatuses",
    "FakeTokens",
    "FakeUsers",
    "clock",
]
