"""What a simulated account accepts and rejects."""

import itertools

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Message
from deploy.local.simulator.settings import SimulatorSettings
from deploy.local.simulator.simulator import Simulator
from deploy.local.simulator.validation import count_parts
from tests.support.simulated_account import Clock

KEY = "0123456789abcdef0123456789abcdef"
MOBILE = "13800000000"
TEMPLATE = "您的验证码是{code}。如非本人操作，请忽略本短信"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account("first", SimulatorSettings(sms_template=TEMPLATE), clock, itertools.count(10_000_000_001))


@pytest.fixture
def simulator(clock: Clock) -> Simulator:
    return Simulator(SimulatorSettings(yunpian_api_key=KEY, simulator_more_accounts="spare=other"), clock)


def text(code: str = "123456", signature: str = "Dialpass") -> str:
    return f"【{signature}】" + TEMPLATE.replace("{code}", code)


def send(account: Account, mobile: str = MOBILE, content: str | None = None) -> Message:
    return account.send_text(mobile, text() if content is None else content)


def error_code(account: Account, **changes: str) -> int:
    with pytest.raises(YunpianError) as raised:
        send(account, **changes)
    return raised.value.code


def test_an_approved_text_is_accepted(account: Account) -> None:
    assert send(account).to_send_response() == {
        "code": 0, "msg": "发送成功", "count": 1, "fee": 0.05, "unit": "RMB", "mobile": MOBILE,
        "sid": 10_000_000_001,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mobile": ""}, 1),
        ({"content": ""}, 1),
        ({"mobile": "8613800000000"}, 2),
        ({"mobile": "1380000000"}, 2),
        ({"mobile": "+8623800000000"}, 2),
        ({"content": "x" * 501}, 48),
        ({"content": text() + "【Dialpass】"}, 16),
        ({"content": text(signature="Other")}, 15),
        ({"content": "【Dialpass】something else"}, 5),
        ({"content": "no signature"}, 5),
        ({"content": text(code="x" * 21)}, 5),
    ],
)
def test_an_invalid_message_is_rejected_with_its_code(
    account: Account, changes: dict[str, str], code: int
) -> None:
    assert error_code(account, **changes) == code


@pytest.mark.parametrize(
    ("seconds", "content", "code"), [(0, text(), 8), (29, text(), 8), (29, text("1"), 33)]
)
def test_within_30_seconds_a_number_gets_no_second_text(
    account: Account, clock: Clock, seconds: float, content: str, code: int
) -> None:
    send(account)
    clock.advance(seconds)
    assert error_code(account, content=content) == code


def test_after_30_seconds_the_same_text_is_accepted(account: Account, clock: Clock) -> None:
    send(account)
    clock.advance(30)
    assert send(account).sid == 10_000_000_002


def test_the_fourth_same_text_in_5_minutes_is_rejected(account: Account, clock: Clock) -> None:
    for _ in range(3):
        send(account)
        clock.advance(31)
    assert error_code(account) == 9


def test_the_fourth_text_in_an_hour_is_rejected(account: Account, clock: Clock) -> None:
    for number in range(3):
        send(account, content=text(f"{number}"))
        clock.advance(600)
    assert error_code(account, content=text("9")) == 22


def test_the_eleventh_text_in_a_day_is_rejected(account: Account, clock: Clock) -> None:
    for number in range(10):
        send(account, content=text(f"{number}"))
        clock.advance(1_800)
    assert error_code(account, content=text("99")) == 17


def test_limits_are_per_number_and_can_be_switched_off(account: Account) -> None:
    send(account)
    send(account, mobile="13900000000")
    account.config.limits = False
    assert send(account).sid == 10_000_000_003


def test_a_number_with_a_country_code_is_the_same_number(account: Account) -> None:
    assert send(account, mobile=f"+86{MOBILE}").mobile == MOBILE
    assert error_code(account) == 8


@pytest.mark.parametrize(("length", "parts"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (500, 8)])
def test_a_long_text_is_billed_in_parts_of_67(length: int, parts: int) -> None:
    assert count_parts("字" * length) == parts


def test_each_part_is_taken_from_the_balance(clock: Clock) -> None:
    settings = SimulatorSettings(sms_template="长" * 60 + "{code}", simulator_balance=1)
    account = Account("first", settings, clock, itertools.count())
    sent = send(account, content="【Dialpass】" + "长" * 60 + "123456")
    assert (sent.parts, sent.fee, account.config.balance) == (2, 0.1, 0.9)


def test_without_balance_a_text_is_rejected(account: Account) -> None:
    account.config.balance = 0.04
    assert error_code(account) == 3
    assert not account.records


def test_a_rejected_text_does_not_count_toward_the_limits(account: Account) -> None:
    account.config.balance = 0.0
    assert error_code(account) == 3
    account.config.balance = 1.0
    assert send(account).sid == 10_000_000_001


def test_a_black_listed_number_is_rejected(account: Account) -> None:
    account.config.blacklist = [MOBILE]
    assert error_code(account) == 10


def test_a_blocked_keyword_is_rejected(account: Account) -> None:
    account.config.keywords = ["验证码"]
    assert error_code(account) == 4


def test_too_many_calls_in_a_second_are_rejected_for_any_number(account: Account, clock: Clock) -> None:
    account.config.calls_per_second = 2
    send(account, mobile="13900000001")
    send(account, mobile="13900000002")
    assert error_code(account, mobile="13900000003") == -5
    clock.advance(1)
    assert send(account, mobile="13900000003").mobile == "13900000003"


def test_too_many_calls_in_a_day_are_rejected(account: Account, clock: Clock) -> None:
    account.config.calls_per_day = 1
    send(account)
    clock.advance(3_600)
    assert error_code(account) == -4
    clock.advance(86_400)
    assert send(account).mobile == MOBILE


@pytest.mark.parametrize(("code", "error"), [("", 1), ("123", 2), ("1234567", 2), ("12a4", 2)])
def test_a_voice_code_has_4_to_6_digits(account: Account, code: str, error: int) -> None:
    with pytest.raises(YunpianError) as raised:
        account.send_voice(MOBILE, code)
    assert raised.value.code == error


@pytest.mark.parametrize(("key", "code"), [("", 1), ("unknown", -1)])
def test_an_unknown_key_is_rejected(simulator: Simulator, key: str, code: int) -> None:
    with pytest.raises(YunpianError) as raised:
        simulator.authenticate(key, "127.0.0.1")
    assert raised.value.code == code


def test_an_address_outside_the_white_list_is_rejected(simulator: Simulator) -> None:
    account = simulator.authenticate(KEY, "127.0.0.1")
    account.config.ip_whitelist = ["192.0.2.1"]
    assert simulator.authenticate(KEY, "192.0.2.1") is account
    with pytest.raises(YunpianError) as raised:
        simulator.authenticate(KEY, "127.0.0.1")
    assert raised.value.code == -3
    assert "127.0.0.1" in str(raised.value.body["detail"])


def test_accounts_share_only_the_sids(simulator: Simulator) -> None:
    first, spare = simulator.authenticate(KEY, ""), simulator.authenticate("other", "")
    sid = send(first).sid
    assert send(spare).sid == int(sid) + 1
    first.config.balance = 0.0
    assert error_code(first, mobile="13900000000") == 3
    assert send(spare, mobile="13900000000").account == "spare"


def test_each_approved_template_is_accepted(clock: Clock) -> None:
    settings = SimulatorSettings(sms_template=TEMPLATE, sms_templates={"login": "{code}是您的登录验证码"})
    account = Account("first", settings, clock, itertools.count(1))
    send(account, content=text())
    send(account, mobile="13800000001", content="【Dialpass】123456是您的登录验证码")
    assert error_code(account, content="【Dialpass】123456是您的注册验证码") == 5
