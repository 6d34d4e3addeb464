"""What the simulated account accepts and refuses."""

import itertools
from dataclasses import dataclass

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.accounts import Accounts, open_accounts
from deploy.local.simulator.approval import count_parts
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.messages import Sent
from deploy.local.simulator.send import text_answer
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
    return Account("first", SimulatorSettings(sms_template=TEMPLATE), clock, itertools.count(10_000_000_001))


@pytest.fixture
def accounts(clock: Clock) -> Accounts:
    return open_accounts(SimulatorSettings(yunpian_api_key=KEY, simulator_more_accounts="spare=other"), clock)


def text(code: str = "123456", signature: str = "Dialpass") -> str:
    return f"【{signature}】" + TEMPLATE.replace("{code}", code)


def send(account: Account, mobile: str = MOBILE, content: str | None = None) -> Sent:
    return account.send_text(mobile, text() if content is None else content)


def refusal(account: Account, **changes: str) -> int:
    with pytest.raises(Refused) as refused:
        send(account, **changes)
    return refused.value.code


def test_an_approved_text_is_accepted_and_answered_as_yunpian_does(account: Account) -> None:
    assert text_answer(send(account)) == {
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
    account.terms.limits = False
    assert send(account).sid == 10_000_000_003


def test_a_number_with_its_country_is_the_same_number(account: Account) -> None:
    assert send(account, mobile=f"+86{MOBILE}").mobile == MOBILE
    assert refusal(account) == 8


@pytest.mark.parametrize(("length", "parts"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (500, 8)])
def test_a_long_text_is_billed_in_parts_of_67(length: int, parts: int) -> None:
    assert count_parts("字" * length) == parts


def test_each_part_is_taken_from_the_balance(clock: Clock) -> None:
    settings = SimulatorSettings(sms_template="长" * 60 + "{code}", simulator_balance=1)
    account = Account("first", settings, clock, itertools.count())
    sent = send(account, content="【Dialpass】" + "长" * 60 + "123456")
    assert (sent.parts, sent.fee, account.terms.balance) == (2, 0.1, 0.9)


def test_an_empty_account_sends_nothing(account: Account) -> None:
    account.terms.balance = 0.04
    assert refusal(account) == 3
    assert not account.records


def test_what_is_refused_does_not_count_for_the_windows(account: Account) -> None:
    account.terms.balance = 0.0
    assert refusal(account) == 3
    account.terms.balance = 1.0
    assert send(account).sid == 10_000_000_001


def test_a_black_listed_number_is_refused(account: Account) -> None:
    account.terms.blacklist = [MOBILE]
    assert refusal(account) == 10


def test_a_blocked_keyword_is_refused(account: Account) -> None:
    account.terms.keywords = ["验证码"]
    assert refusal(account) == 4


def test_too_many_calls_in_a_second_are_refused_whoever_they_are_for(account: Account, clock: Clock) -> None:
    account.terms.calls_per_second = 2
    send(account, mobile="13900000001")
    send(account, mobile="13900000002")
    assert refusal(account, mobile="13900000003") == -5
    clock.now += 1
    assert send(account, mobile="13900000003").mobile == "13900000003"


def test_too_many_calls_in_a_day_are_refused(account: Account, clock: Clock) -> None:
    account.terms.calls_per_day = 1
    send(account)
    clock.now += 3_600
    assert refusal(account) == -4
    clock.now += 86_400
    assert send(account).mobile == MOBILE


def test_a_code_is_read_out_and_has_windows_of_its_own(account: Account) -> None:
    send(account)
    assert account.send_voice(MOBILE, "123456").channel == "voice"
    with pytest.raises(Refused) as refused:
        account.send_voice(MOBILE, "123456")
    assert refused.value.code == 8


@pytest.mark.parametrize(("code", "refusal"), [("", 1), ("123", 2), ("1234567", 2), ("12a4", 2)])
def test_only_4_to_6_digits_can_be_read_out(account: Account, code: str, refusal: int) -> None:
    with pytest.raises(Refused) as refused:
        account.send_voice(MOBILE, code)
    assert refused.value.code == refusal


@pytest.mark.parametrize(("key", "code"), [("", 1), ("unknown", -1)])
def test_only_a_known_key_may_call(accounts: Accounts, key: str, code: int) -> None:
    with pytest.raises(Refused) as refused:
        accounts.caller(key, "127.0.0.1")
    assert refused.value.code == code


def test_only_white_listed_addresses_may_call_where_there_are_any(accounts: Accounts) -> None:
    account = accounts.caller(KEY, "127.0.0.1")
    account.terms.ip_whitelist = ["192.0.2.1"]
    assert accounts.caller(KEY, "192.0.2.1") is account
    with pytest.raises(Refused) as refused:
        accounts.caller(KEY, "127.0.0.1")
    assert refused.value.code == -3
    assert "127.0.0.1" in str(refused.value.body["detail"])


def test_accounts_share_nothing_but_the_sids(accounts: Accounts) -> None:
    first, spare = accounts.caller(KEY, ""), accounts.caller("other", "")
    sid = send(first).sid
    assert send(spare).sid == int(sid) + 1
    first.terms.balance = 0.0
    assert refusal(first, mobile="13900000000") == 3
    assert send(spare, mobile="13900000000").account == "spare"
