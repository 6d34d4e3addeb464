"""Status reports that are kept for pulling."""

from datetime import timedelta
from typing import Any

import pytest

from deploy.local.simulator.account import Account
from deploy.local.simulator.outcomes import Carrier, Outcome
from deploy.local.simulator.pusher import Pusher
from deploy.local.simulator.rules import Rules
from tests.support.simulated import MOBILE, TEXT, Clock, unlimited_account


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    return unlimited_account(clock)


def send(account: Account, *outcomes: Outcome, mobile: str = MOBILE, uid: str | None = None) -> int | str:
    sent = account.send_text(mobile, TEXT, uid)
    Carrier(2, Pusher(300), Rules([*outcomes])).take(account, sent, "")
    return sent.sid


def pull(account: Account, most: int = 20) -> list[dict[str, Any]]:
    return [sent.report_form() for sent in account.take_reports("sms", most)]


def test_a_report_has_the_form_of_a_push(account: Account, clock: Clock) -> None:
    sid = send(account, uid="u1")
    clock.now += timedelta(seconds=2)
    assert pull(account) == [
        {
            "sid": sid, "uid": "u1", "mobile": MOBILE, "report_status": "SUCCESS", "error_msg": None,
            "error_detail": None, "user_receive_time": "2026-03-01 09:30:02",
        }
    ]  # fmt: skip


def test_a_report_is_there_after_its_delay(account: Account, clock: Clock) -> None:
    send(account, Outcome(delay=10))
    clock.now += timedelta(seconds=9)
    assert pull(account) == []
    clock.now += timedelta(seconds=1)
    assert len(pull(account)) == 1


def test_what_was_returned_is_deleted(account: Account, clock: Clock) -> None:
    sids = [send(account) for _ in range(3)]
    clock.now += timedelta(seconds=2)
    assert [report["sid"] for report in pull(account, most=2)] == sids[:2]
    assert [report["sid"] for report in pull(account, most=2)] == sids[2:]
    assert pull(account) == []


def test_reports_are_kept_for_72_hours(account: Account, clock: Clock) -> None:
    send(account)
    clock.now += timedelta(hours=72, seconds=1)
    assert len(pull(account)) == 1
    send(account)
    clock.now += timedelta(hours=72, seconds=2)
    assert pull(account) == []


def test_a_failure_names_its_reason(account: Account, clock: Clock) -> None:
    send(account, Outcome(status="FAIL"))
    clock.now += timedelta(seconds=2)
    (report,) = pull(account)
    assert (report["report_status"], report["error_msg"]) == ("FAIL", "DB:0103")


def test_an_outcome_may_be_for_one_number(account: Account, clock: Clock) -> None:
    send(account, Outcome(status="FAIL", mobile="13900000000"))
    clock.now += timedelta(seconds=2)
    assert pull(account)[0]["report_status"] == "SUCCESS"


def test_a_report_may_come_more_than_once(account: Account, clock: Clock) -> None:
    send(account, Outcome(copies=3))
    clock.now += timedelta(seconds=2)
    assert len(pull(account)) == 3


def test_some_messages_are_never_reported(account: Account, clock: Clock) -> None:
    send(account, Outcome(status="NONE"))
    clock.now += timedelta(hours=1)
    assert pull(account) == []


def test_calls_have_reports_of_their_own(account: Account, clock: Clock) -> None:
    Carrier(0, Pusher(300)).take(account, account.send_voice(MOBILE, "123456"), "")
    assert pull(account) == []
    (call,) = account.take_reports("voice", 20)
    assert call.report_form()["duration"] == 10
