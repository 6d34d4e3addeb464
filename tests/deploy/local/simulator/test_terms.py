"""How accounts differ in what they accept: templates by region, `uid`, billing in pieces."""

import itertools

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.settings import SimulatorSettings
from tests.support.simulated_account import MOBILE, TEXT, Clock, text_error

CHINESE = TEXT.removeprefix("【Dialpass】")


def foreign_account(clock: Clock) -> Account:
    settings = SimulatorSettings(
        sms_foreign_signature="Dialpass Ltd",
        sms_foreign_template="Your code is {code}",
        sms_region_templates={"DE": "Ihr Code ist {code}"},
    )
    return Account("first", settings, clock, itertools.count(1))


@pytest.mark.parametrize(
    ("mobile", "content", "code"),
    [
        ("+447400123456", "【Dialpass Ltd】Your code is 123456", 0),
        ("+4915112345678", "【Dialpass Ltd】Ihr Code ist 123456", 0),
        ("+447400123456", "【Dialpass Ltd】Ihr Code ist 123456", 5),
        ("+447400123456", "【Dialpass Ltd】" + CHINESE, 5),
        ("+447400123456", TEXT, 15),
        (MOBILE, "【Dialpass】Your code is 123456", 5),
        (f"+86{MOBILE}", TEXT, 0),
    ],
)
def test_home_and_foreign_numbers_have_their_own_signatures_and_templates(
    clock: Clock, mobile: str, content: str, code: int
) -> None:
    account = foreign_account(clock)
    if code:
        assert text_error(account, mobile, content) == code
    else:
        account.send_text(mobile, content)


def test_without_a_foreign_template_no_foreign_text_is_accepted(clock: Clock) -> None:
    settings = SimulatorSettings(sms_foreign_template="")
    account = Account("first", settings, clock, itertools.count(1))
    assert text_error(account, "+447400123456", TEXT) == 5


def test_an_account_without_uid_forgets_it(account: Account) -> None:
    assert account.send_text(MOBILE, TEXT, "u1").uid == "u1"
    account.config.uid = False
    assert account.send_text("13800000001", TEXT, "u2").uid is None


def test_an_account_may_be_billed_in_pieces(account: Account) -> None:
    account.config.unit, account.config.balance = "COUNT", 2.0
    answer = account.send_text(MOBILE, TEXT).to_send_response()
    assert (answer["fee"], answer["unit"], account.config.balance) == (1.0, "COUNT", 1.0)
