"""The records of an account's texts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import parse_china_time
from deploy.local.simulator.records import find_records
from deploy.local.simulator.rules import Outcome
from deploy.local.simulator.simulator import Simulator
from tests.support.simulated_account import FOREIGN_TEXT, MOBILE, TEXT, Clock, unlimited_simulator

DAY = {"start_time": "2026-03-01 00:00:00", "end_time": "2026-03-01 23:59:59"}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 1, 1, 30, 0, 400_000, UTC))


@pytest.fixture
def simulator(clock: Clock) -> Simulator:
    return unlimited_simulator(clock, report_delay=3)


@pytest.fixture
def account(simulator: Simulator) -> Account:
    return simulator.first


def records(account: Account, **form: str) -> list[dict[str, Any]]:
    return find_records(account, {**DAY, **form})


def error_code(account: Account, **form: str) -> int:
    with pytest.raises(YunpianError) as raised:
        records(account, **form)
    return raised.value.code


def test_a_record_has_local_times_and_a_string_as_sid(account: Account) -> None:
    sent = account.send_text(MOBILE, TEXT, uid="u1")
    assert records(account) == [
        {
            "sid": str(sent.sid), "mobile": MOBILE, "send_time": "2026-03-01 09:30:00", "text": TEXT,
            "send_status": "SUCCESS", "report_status": "UNKNOWN", "fee": 1, "user_receive_time": None,
            "error_msg": None, "uid": "u1",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("period", "found"),
    [
        ({"start_time": "2026-03-01 09:30:00", "end_time": "2026-03-01 09:30:00"}, 1),
        ({"start_time": "2026-03-01 09:30:01"}, 0),
        ({"end_time": "2026-03-01 09:29:59"}, 0),
    ],
)
def test_the_period_includes_its_ends(account: Account, period: dict[str, str], found: int) -> None:
    account.send_text(MOBILE, TEXT)
    assert len(records(account, **period)) == found


def test_records_can_be_filtered_by_number(account: Account) -> None:
    for mobile in ("13800000001", "13800000002", "13800000003"):
        account.send_text(mobile, TEXT)
    found = records(account, mobile="13800000001,13800000003")
    assert [record["mobile"] for record in found] == ["13800000003", "13800000001"]


def test_foreign_numbers_are_excluded_by_default(account: Account) -> None:
    account.send_text(MOBILE, TEXT)
    account.send_text("+4915112345678", FOREIGN_TEXT)
    found = {kind: len(records(account, type=kind)) for kind in ("", "global", "all")}
    assert found == {"": 1, "global": 1, "all": 2}


def test_voice_calls_are_not_included(account: Account) -> None:
    account.send_voice(MOBILE, "123456")
    assert records(account) == []


def test_the_first_page_has_the_newest_records(account: Account) -> None:
    sids = [str(account.send_text(MOBILE, TEXT).sid) for _ in range(5)]
    pages = [records(account, page_num=str(page), page_size="2") for page in (1, 2, 3, 4)]
    assert [[record["sid"] for record in page] for page in pages] == [
        [sids[4], sids[3]], [sids[2], sids[1]], [sids[0]], [],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"start_time": ""}, 1),
        ({"end_time": ""}, 1),
        ({"start_time": "yesterday"}, 2),
        ({"page_num": "0"}, 2),
        ({"page_size": "101"}, 2),
        ({"page_size": "-1"}, 2),
    ],
)
def test_a_malformed_parameter_is_rejected(account: Account, form: dict[str, str], code: int) -> None:
    assert error_code(account, **form) == code


def test_a_record_is_visible_after_the_record_lag(account: Account, clock: Clock) -> None:
    account.config.record_lag = 5
    account.send_text(MOBILE, TEXT)
    assert records(account) == []
    clock.advance(5)
    assert len(records(account)) == 1


def test_a_record_shows_its_report_after_its_delay(
    simulator: Simulator, account: Account, clock: Clock
) -> None:
    simulator.deliver(account, account.send_text(MOBILE, TEXT))
    assert records(account)[0]["report_status"] == "UNKNOWN"
    clock.advance(3)
    (record,) = records(account)
    assert (record["report_status"], record["user_receive_time"]) == ("SUCCESS", "2026-03-01 09:30:03")


def test_an_outcome_is_a_failure_or_no_report(simulator: Simulator, account: Account) -> None:
    failure = Outcome(status="FAIL", error_msg="UNDELIV", delay=0, times=1)
    simulator.outcomes.rules = [failure, Outcome(status="NONE")]
    for _ in range(2):
        simulator.deliver(account, account.send_text(MOBILE, TEXT))
    unknown, failed = records(account)
    assert (failed["report_status"], failed["error_msg"]) == ("FAIL", "UNDELIV")
    assert failed["user_receive_time"] is None
    assert (unknown["report_status"], unknown["error_msg"]) == ("UNKNOWN", None)


def test_times_are_parsed_in_the_zone_of_china() -> None:
    assert parse_china_time("2026-03-01 09:30:00") == datetime(2026, 3, 1, 1, 30, tzinfo=UTC)


def test_digits_can_be_masked(account: Account) -> None:
    account.config.record_mask = True
    account.send_text(MOBILE, TEXT)
    (record,) = records(account)
    assert record["mobile"] == "138****0000"
    assert record["text"] == "【Dialpass】您的验证码是******。如非本人操作，请忽略本短信"


def test_times_can_be_of_another_zone(account: Account) -> None:
    account.config.record_shift = -8
    account.send_text(MOBILE, TEXT)
    assert records(account, start_time="2026-03-01 09:00:00", end_time="2026-03-01 10:00:00") == []
    (record,) = records(account, start_time="2026-03-01 01:00:00", end_time="2026-03-01 02:00:00")
    assert record["send_time"] == "2026-03-01 01:30:00"
