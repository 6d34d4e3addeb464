"""Codes of fewer than six digits are allowed, but not silently."""

import pytest
from structlog.testing import capture_logs

from tests.auth.conftest import MakeAuth


@pytest.mark.parametrize(("digits", "odds"), [(4, 2000), (5, 20_000)])
async def test_short_codes_are_warned_of(make_auth: MakeAuth, digits: int, odds: int) -> None:
    with capture_logs() as lines:
        make_auth(settings={"code_length": digits})
    warning = {"log_level": "warning", "event": "codes_short", "digits": digits, "guessed_once_in": odds}
    assert warning in lines


async def test_six_digits_are_not_warned_of(make_auth: MakeAuth) -> None:
    with capture_logs() as lines:
        make_auth(settings={"code_length": 6})
    assert [line for line in lines if line["event"] == "codes_short"] == []
