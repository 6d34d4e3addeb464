"""What `get_record` shows of an account's texts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.messages import from_china_time
from deploy.local.simulator.outcomes import Carrier, Outcome
from deploy.local.simulator.pusher import Pusher
from deploy.local.simulator.queries import find_records
from deploy.local.simulator.rules import Rules
from tests.support.simulated import MOBILE, TEXT, Clock, unlimited_account

DAY = {"start_time": "2026-03-01 00:00:00", "end_time": "2026-03-01 23:59:59"}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 1, 1, 30, 0, 400_000, UTC))


@pytest.fixture
def account(clock: Clock) -> Account:
    return unlimited_account(clock)


def records(account: Account, **form: str) -> list[dict[str, Any]]:
    return find_records(account, {**DAY, **form})


def carrier(delay: float, rules: Rules[Outcome] | None = None) -> Carrier:
    return Carrier(delay, Pusher(300), rules or Rules())


def refusal(account: Account, **form: str) -> int:
    with pytest.raises(Refused) as refused:
        records(account, **form)
    return refused.value.code


def test_a_record_has_local_times_and_a_sid_that_is_a_string(account: Account) -> None:
    sent = account.send_text(MOBILE, TEXT, uid="u1")
    assert records(account) == [
        {
            "sid": str(sent.sid), "mobile": MOBILE, "send_time": "2026-03-01 09:30:00", "text": TEXT,
            "send_status": "SUCCESS", "report_status": "UNKNOWN", "fee": 1, "user_receive_time": None,
            "error_msg": None, "uid": "u1",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("window", "found"),
    [
        ({"start_time": "2026-03-01 09:30:00", "end_time": "2026-03-01 09:30:00"}, 1),
        ({"start_time": "2026-03-01 09:30:01"}, 0),
        ({"end_time": "2026-03-01 09:29:59"}, 0),
    ],
)
def test_the_window_includes_its_ends(account: Account, window: dict[str, str], found: int) -> None:
    account.send_text(MOBILE, TEXT)
    assert len(records(account, **window)) == found


def test_records_of_some_numbers_may_be_asked_for(account: Account) -> None:
    for mobile in ("13800000001", "13800000002", "13800000003"):
        account.send_text(mobile, TEXT)
    found = records(account, mobile="13800000001,13800000003")
    assert [record["mobile"] for record in found] == ["13800000003", "13800000001"]


def test_foreign_numbers_are_left_out_unless_asked_for(account: Account) -> None:
    account.send_text(MOBILE, TEXT)
    account.send_text("+4915112345678", TEXT)
    found = {kind: len(records(account, type=kind)) for kind in ("", "global", "all")}
    assert found == {"": 1, "global": 1, "all": 2}


def test_calls_are_no_texts(account: Account) -> None:
    account.send_voice(MOBILE, "123456")
    assert records(account) == []


def test_pages_begin_with_the_newest(account: Account) -> None:
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
def test_what_cannot_be_looked_up_is_refused(account: Account, form: dict[str, str], code: int) -> None:
    assert refusal(account, **form) == code


def test_a_record_may_come_late(account: Account, clock: Clock) -> None:
    account.terms.record_lag = 5
    account.send_text(MOBILE, TEXT)
    assert records(account) == []
    clock.now += timedelta(seconds=5)
    assert len(records(account)) == 1


def test_a_record_shows_its_report_once_that_is_there(account: Account, clock: Clock) -> None:
    sent = account.send_text(MOBILE, TEXT)
    carrier(3).take(account, sent, "")
    assert records(account)[0]["report_status"] == "UNKNOWN"
    clock.now += timedelta(seconds=3)
    (record,) = records(account)
    assert (record["report_status"], record["user_receive_time"]) == ("SUCCESS", "2026-03-01 09:30:03")


def test_an_outcome_may_be_a_failure_or_none(account: Account, clock: Clock) -> None:
    rules = Rules([Outcome(status="FAIL", error_msg="UNDELIV", times=1), Outcome(status="NONE")])
    for _ in range(2):
        carrier(0, rules).take(account, account.send_text(MOBILE, TEXT), "")
    unknown, failed = records(account)
    assert (failed["report_status"], failed["error_msg"]) == ("FAIL", "UNDELIV")
    assert failed["user_receive_time"] is None
    assert (unknown["report_status"], unknown["error_msg"]) == ("UNKNOWN", None)


def test_local_times_are_read_as_chinese() -> None:
    assert from_china_time("2026-03-01 09:30:00") == datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
