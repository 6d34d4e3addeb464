"""A simulated account at a moment of a test's choice."""

from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.local.simulator.account import Account
from deploy.local.simulator.accounts import open_accounts
from deploy.local.simulator.settings import SimulatorSettings

MOBILE = "13800000000"
TEXT = "【Dialpass】您的验证码是123456。如非本人操作，请忽略本短信"


@dataclass
class Clock:
    """Stands at 09:30 in China, on the first of March, until it is moved."""

    now: datetime = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)

    def __call__(self) -> float:
        return self.now.timestamp()


def unlimited_account(clock: Clock) -> Account:
    """Return an account that texts a number as often as asked."""
    account = open_accounts(SimulatorSettings(), clock).first
    account.terms.limits = False
    return account
