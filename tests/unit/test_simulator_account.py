"""What the simulated account accepts and refuses."""

from dataclasses import dataclass

import pytest

from deploy.local.simulator.account import Account, Sent, success
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.settings import SimulatorSettings

KEY = "0123456789abcdef0123456789abcdef"
MOBILE = "13800000000"
TEMPLATE = "您的验证码是{code}。如非本人操作，请忽略本短信"


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account(SimulatorSettings(yunpian_api_key=KEY, sms_template=TEMPLATE), clock)


def text(code: str = "123456", signature: str = "Dialpass") -> str:
    return f"【{signature}】" + TEMPLATE.replace("{code}", code)


def send(account: Account, mobile: str = MOBILE, content: str | None = None, key: str = KEY) -> Sent:
    return account.accept(key, mobile, text() if content is None else content, "127.0.0.1")


def refusal(account: Account, **changes: str) -> int:
    with pytest.raises(Refused) as refused:
        send(account, **changes)
    return refused.value.code


def test_an_approved_text_is_accepted_and_answered_as_yunpian_does(account: Account) -> None:
    assert success(send(account)) == {
        "code": 0, "msg": "发送成功", "count": 1, "fee": 0.05, "unit": "RMB", "mobile": MOBILE,
        "sid": 10_000_000_001,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": ""}, 1),
        ({"key": "another"}, -1),
        ({"mobile": ""}, 1),
        ({"content": ""}, 1),
        ({"mobile": "8613800000000"}, 2),
        ({"mobile": "1380000000"}, 2),
        ({"content": "x" * 501}, 48),
        ({"content": text() + "【Dialpass】"}, 16),
        ({"content": text(signature="Other")}, 15),
        ({"content": "【Dialpass】something else"}, 5),
        ({"content": "no signature"}, 5),
        ({"content": text(code="x" * 21)}, 5),
    ],
)
def test_what_does_not_fit_is_refused_with_its_code(
    account: Account, changes: dict[str, str], code: int
) -> None:
    assert refusal(account, **changes) == code


@pytest.mark.parametrize(
    ("seconds", "content", "code"), [(0, text(), 8), (29, text(), 8), (29, text("1"), 33)]
)
def test_within_30_seconds_a_number_gets_nothing_more(
    account: Account, clock: Clock, seconds: float, content: str, code: int
) -> None:
    send(account)
    clock.now += seconds
    assert refusal(account, content=content) == code


def test_after_30_seconds_the_same_text_is_accepted(account: Account, clock: Clock) -> None:
    send(account)
    clock.now += 30
    assert send(account).sid == 10_000_000_002


def test_the_fourth_same_text_in_5_minutes_is_refused(account: Account, clock: Clock) -> None:
    for _ in range(3):
        send(account)
        clock.now += 31
    assert refusal(account) == 9


def test_the_fourth_text_in_an_hour_is_refused(account: Account, clock: Clock) -> None:
    for number in range(3):
        send(account, content=text(f"{number}"))
        clock.now += 600
    assert refusal(account, content=text("9")) == 22


def test_the_eleventh_text_in_a_day_is_refused(account: Account, clock: Clock) -> None:
    for number in range(10):
        send(account, content=text(f"{number}"))
        clock.now += 1_800
    assert refusal(account, content=text("99")) == 17


def test_limits_hold_for_each_number_and_can_be_switched_off(account: Account) -> None:
    send(account)
    send(account, mobile="13900000000")
    account.limits = False
    assert send(account).sid == 10_000_000_003


def test_an_empty_account_sends_nothing(account: Account) -> None:
    account.balance = 0.04
    assert refusal(account) == 3
    assert account.texts(None) == []


def test_a_black_listed_number_and_a_foreign_address_are_refused(account: Account) -> None:
    account.blacklist = [MOBILE]
    assert refusal(account) == 10
    account.ip_whitelist = ["192.0.2.1"]
    assert refusal(account) == -3
