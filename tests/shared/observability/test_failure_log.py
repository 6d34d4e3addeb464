import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from shared.observability.failure_log import FailureLog
from shared.observability.rate_limited_log import RateLimitedLog


def events(logs: list[EventDict]) -> list[tuple[object, object]]:
    return [(line["log_level"], line["event"]) for line in logs]


@pytest.fixture(name="failures")
def _failures() -> FailureLog:
    return FailureLog("fails", "works_again")


def test_failures_of_a_start_are_no_warning(failures: FailureLog) -> None:
    with capture_logs() as logs:
        failures.failed()
        failures.failed()
        failures.succeeded()
    assert logs == []


def test_failures_that_outlast_a_start_are_a_warning() -> None:
    failures = FailureLog("fails", "works_again", start_seconds=0.0)
    with capture_logs() as logs:
        failures.failed(problem="down")
    assert logs == [{"event": "fails", "log_level": "warning", "problem": "down"}]


def test_each_change_after_the_first_success_is_one_line(failures: FailureLog) -> None:
    with capture_logs() as logs:
        failures.succeeded()
        for _ in range(3):
            failures.failed()
        failures.succeeded()
        failures.succeeded()
        failures.failed()
    assert events(logs) == [("warning", "fails"), ("info", "works_again"), ("warning", "fails")]


def test_the_first_of_many_waits_for_the_end_of_the_start() -> None:
    unreachable = RateLimitedLog("unreachable", quiet_seconds=60)
    with capture_logs() as logs:
        unreachable.warning()
        unreachable.expect_none()
        unreachable.warning()
        unreachable.expect_none()
        unreachable.warning()
    assert logs == [{"event": "unreachable", "log_level": "warning", "left_out": 0}]
