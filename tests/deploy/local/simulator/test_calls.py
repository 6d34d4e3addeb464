"""Calls: their hours, and the limits that they share with texts."""

from datetime import datetime

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import CHINA
from tests.support.simulated_account import MOBILE, TEXT, Clock, text_error


def code_text(number: int) -> str:
    return TEXT.replace("123456", f"{number}")


def voice_error(account: Account, mobile: str = MOBILE) -> int:
    with pytest.raises(YunpianError) as raised:
        account.send_voice(mobile, "123456")
    return raised.value.code


def test_calls_and_texts_share_a_window_of_30_seconds(account: Account, clock: Clock) -> None:
    account.send_text(MOBILE, TEXT)
    assert voice_error(account) == 53
    clock.advance(30)
    assert account.send_voice(MOBILE, "123456").channel == "voice"
    assert text_error(account, MOBILE, code_text(9)) == 53


def test_calls_and_texts_share_windows_of_an_hour_and_a_day(account: Account, clock: Clock) -> None:
    for number in range(2):
        account.send_text(MOBILE, code_text(number))
        clock.advance(600)
    account.send_voice(MOBILE, "123456")
    clock.advance(600)
    assert voice_error(account) == 53
    assert text_error(account, MOBILE, code_text(9)) == 53
    clock.advance(3_600)
    account.send_voice(MOBILE, "123456")
    clock.advance(3_600)
    account.send_text(MOBILE, code_text(9))
    clock.advance(3_600)
    assert voice_error(account) == 53


@pytest.mark.parametrize(
    ("hour", "minute"), [(7, 29), (22, 0), (23, 59), (0, 0)],
)  # fmt: skip
def test_mainland_numbers_are_not_called_at_night(
    account: Account, clock: Clock, hour: int, minute: int
) -> None:
    clock.now = datetime(2026, 3, 1, hour, minute, tzinfo=CHINA)
    assert voice_error(account) == voice_error(account, f"+86{MOBILE}") == 13
    assert account.send_voice("+447400123456", "123456").channel == "voice"


@pytest.mark.parametrize(("hour", "minute"), [(7, 30), (21, 59)])
def test_mainland_numbers_are_called_by_day(account: Account, clock: Clock, hour: int, minute: int) -> None:
    clock.now = datetime(2026, 3, 1, hour, minute, tzinfo=CHINA)
    assert account.send_voice(MOBILE, "123456").channel == "voice"
