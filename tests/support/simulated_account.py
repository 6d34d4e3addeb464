"""A simulated Yunpian account with a clock that tests set."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.settings import SimulatorSettings
from deploy.local.simulator.simulator import Simulator

MOBILE = "13800000000"
TEXT = "【Dialpass】您的验证码是123456。如非本人操作，请忽略本短信"

FOREIGN_TEXT = (
    "【Dialpass】Your verification code is 123456. If you did not ask for it, please ignore this message."
)


@dataclass
class Clock:
    """Stands at 09:30 in China, on the first of March, until it is moved."""

    now: datetime = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)

    def __call__(self) -> float:
        return self.now.timestamp()

    def advance(self, seconds: float = 0, **duration: float) -> None:
        self.now += timedelta(seconds=seconds, **duration)


def unlimited_simulator(clock: Clock, report_delay: float) -> Simulator:
    """Return a simulator whose first account accepts any number of texts to a number."""
    simulator = Simulator(SimulatorSettings(simulator_report_delay=report_delay), clock)
    simulator.first.config.limits = False
    return simulator


def text_error(account: Account, mobile: str, text: str) -> int:
    """Return the code with which an account refuses a text."""
    with pytest.raises(YunpianError) as raised:
        account.send_text(mobile, text)
    return raised.value.code
