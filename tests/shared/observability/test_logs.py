import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared.observability import logs

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _undo_configuration() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def log_line(capsys: Capture, emit: Callable[[], object]) -> dict[str, Any]:
    """Return the line that `emit` writes, or an empty one."""
    logs.configure("test", "json", "info")
    emit()
    lines = capsys.readouterr().out.splitlines()
    line: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return line


def test_a_line_is_json_with_time_level_and_service(capsys: Capture) -> None:
    line = log_line(capsys, lambda: structlog.get_logger().info("it_happened", count=2))
    assert line["event"] == "it_happened"
    assert (line["level"], line["service"], line["count"]) == ("info", "test", 2)
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize("member", ["password", "code", "token", "refresh_token", "authorization", "text"])
def test_a_secret_member_is_never_written(member: str, capsys: Capture) -> None:
    line = log_line(capsys, lambda: structlog.get_logger().info("it_happened", **{member: "s3cret"}))
    assert line[member] == "[redacted]"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to 13800000000 now", "to 138****0000 now"),
        ("to +14155552671", "to +14****2671"),
        ("bearer eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl", "bearer [redacted]"),
        ("amqp://user:pass-word@host:5672/", "amqp://user:[redacted]@host:5672/"),
        ("id 18fc1c05b58ee8f37c16cdae23ba853f", "id 18fc1c05b58ee8f37c16cdae23ba853f"),
    ],
)
def test_values_that_look_sensitive_are_masked(text: str, masked: str, capsys: Capture) -> None:
    line = log_line(capsys, lambda: structlog.get_logger().info("it_happened", detail=text))
    assert line["detail"] == masked


def test_an_exception_is_masked_too(capsys: Capture) -> None:
    error = ValueError("13800000000")
    line = log_line(capsys, lambda: structlog.get_logger().error("it_failed", exc_info=error))
    assert line["exception"] == "ValueError: 138****0000"


def test_library_logs_have_the_same_format_and_masks(capsys: Capture) -> None:
    line = log_line(capsys, lambda: logging.getLogger("some.library").warning("to %s", "13800000000"))
    assert (line["event"], line["level"]) == ("to 138****0000", "warning")


def test_lines_below_the_level_are_not_log_line(capsys: Capture) -> None:
    assert log_line(capsys, lambda: structlog.get_logger().debug("it_happened")) == {}
