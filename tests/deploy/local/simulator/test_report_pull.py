"""Pull of status reports."""

from typing import Any

import pytest

from deploy.local.simulator.rules import Outcome
from deploy.local.simulator.simulator import Simulator
from tests.support.simulated_account import MOBILE, TEXT, Clock, unlimited_simulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Simulator:
    return unlimited_simulator(clock, report_delay=2)


def send(simulator: Simulator, outcome: Outcome | None = None, uid: str | None = None) -> int | str:
    simulator.outcomes.rules = [] if outcome is None else [outcome]
    message = simulator.first.send_text(MOBILE, TEXT, uid)
    simulator.deliver(simulator.first, message)
    return message.sid


def pull(simulator: Simulator, limit: int = 20) -> list[dict[str, Any]]:
    return [message.to_report() for message in simulator.first.pull_reports("sms", limit)]


def test_a_report_has_the_format_of_a_push(simulator: Simulator, clock: Clock) -> None:
    sid = send(simulator, uid="u1")
    clock.advance(2)
    assert pull(simulator) == [
        {
            "sid": sid, "uid": "u1", "mobile": MOBILE, "report_status": "SUCCESS", "error_msg": "DELIVRD",
            "error_detail": "接收成功", "user_receive_time": "2026-03-01 09:30:02",
        }
    ]  # fmt: skip


def test_a_report_is_available_after_its_delay(simulator: Simulator, clock: Clock) -> None:
    send(simulator, Outcome(delay=10))
    clock.advance(9)
    assert pull(simulator) == []
    clock.advance(1)
    assert len(pull(simulator)) == 1


def test_returned_reports_are_deleted(simulator: Simulator, clock: Clock) -> None:
    sids = [send(simulator) for _ in range(3)]
    clock.advance(2)
    assert [report["sid"] for report in pull(simulator, limit=2)] == sids[:2]
    assert [report["sid"] for report in pull(simulator, limit=2)] == sids[2:]
    assert pull(simulator) == []


def test_reports_are_kept_for_72_hours(simulator: Simulator, clock: Clock) -> None:
    send(simulator)
    clock.advance(hours=72, seconds=1)
    assert len(pull(simulator)) == 1
    send(simulator)
    clock.advance(hours=72, seconds=2)
    assert pull(simulator) == []


def test_a_failure_has_the_carriers_code(simulator: Simulator, clock: Clock) -> None:
    send(simulator, Outcome(status="FAIL"))
    clock.advance(2)
    (report,) = pull(simulator)
    assert (report["report_status"], report["error_msg"]) == ("FAIL", "DB:0103")


def test_an_outcome_for_another_number_does_not_apply(simulator: Simulator, clock: Clock) -> None:
    send(simulator, Outcome(status="FAIL", mobile="13900000000"))
    clock.advance(2)
    assert pull(simulator)[0]["report_status"] == "SUCCESS"


def test_a_report_can_be_duplicated(simulator: Simulator, clock: Clock) -> None:
    send(simulator, Outcome(copies=3))
    clock.advance(2)
    assert len(pull(simulator)) == 3


def test_an_outcome_of_none_has_no_report(simulator: Simulator, clock: Clock) -> None:
    send(simulator, Outcome(status="NONE"))
    clock.advance(hours=1)
    assert pull(simulator) == []


def test_voice_calls_have_separate_reports(simulator: Simulator, clock: Clock) -> None:
    simulator.deliver(simulator.first, simulator.first.send_voice(MOBILE, "123456"))
    clock.advance(2)
    assert pull(simulator) == []
    (call,) = simulator.first.pull_reports("voice", 20)
    assert call.to_report()["duration"] == 10
