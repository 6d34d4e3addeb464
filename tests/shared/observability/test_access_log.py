import asyncio
import json

import pytest

from shared.observability.access_log import AccessLog


async def test_lines_are_buffered_for_a_short_time(capsys: pytest.CaptureFixture[str]) -> None:
    access_log = AccessLog("gateway", "json")
    for number in range(3):
        access_log.write(f"r{number}", "GET", "/me", 200, 0.0123, "")
    assert capsys.readouterr().out == ""
    await asyncio.sleep(0.2)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["request_id"] for line in lines] == ["r0", "r1", "r2"]
    assert lines[0].items() >= {"event": "request", "level": "info", "service": "gateway", "ms": 12.3}.items()
    assert lines[0]["timestamp"].endswith("Z")


async def test_flush_writes_the_buffered_lines(capsys: pytest.CaptureFixture[str]) -> None:
    access_log = AccessLog("gateway", "json")
    access_log.write("r1", "POST", "/code", 429, 0.001, "too-many-codes")
    access_log.flush()
    assert json.loads(capsys.readouterr().out)["problem"] == "too-many-codes"


async def test_a_phone_number_as_request_id_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    access_log = AccessLog("gateway", "json")
    access_log.write("13800000000", "GET", "/me", 200, 0.001, "")
    access_log.flush()
    assert "13800000000" not in capsys.readouterr().out


async def test_a_line_names_its_client_if_one_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    access_log = AccessLog("auth", "json")
    access_log.write("r1", "POST", "/login/", 429, 0.001, "too-many-attempts", "0123456789ab")
    access_log.write("r2", "POST", "/login/", 200, 0.001, "")
    access_log.flush()
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["client"], "client" in second) == ("0123456789ab", False)
