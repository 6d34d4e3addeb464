"""Codes of fewer than six digits are allowed, but not silently."""

import pytest
from structlog.testing import capture_logs

from tests.auth.conftest import MakeAuth


@pytest.mark.parametrize("digits", [4, 5])
async def test_short_codes_are_warned_of(make_auth: MakeAuth, digits: int) -> None:
    with capture_logs() as lines:
        make_auth(settings={"code_length": digits})
    [line] = [line for line in lines if line.get("setting") == "CODE_LENGTH"]
    assert line == {
        "log_level": "warning", "event": "weak_setting",
        "setting": "CODE_LENGTH", "value": digits, "at_least": 6,
    }  # fmt: skip


async def test_six_digits_are_not_warned_of(make_auth: MakeAuth) -> None:
    with capture_logs() as lines:
        make_auth(settings={"code_length": 6})
    assert [line for line in lines if line.get("setting") == "CODE_LENGTH"] == []
