"""The webhook is open to everybody: the secret is checked first, and a push has a maximum."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlencode

import pytest

from services.sms.provider.yunpian.reports import UnreadableReports, parse_push
from tests.support.client import Api
from tests.support.system import CALLBACK_SECRET, System
from tests.support.work import MAX_INSTRUCTIONS, instructions

URL = f"/callbacks/yunpian/{CALLBACK_SECRET}/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOW = datetime(2026, 1, 2, tzinfo=UTC)
# The gateway forwards no more.
SIZE = 512 * 1024


def reports(count: int) -> str:
    item = {
        "sid": 1,
        "report_status": "FAIL",
        "error_msg": "DB:0103",
        "user_receive_time": "2026-01-02 11:04:05",
    }
    return json.dumps([item | {"sid": number} for number in range(count)])


def test_a_push_has_at_most_a_thousand_reports() -> None:
    assert len(parse_push(reports(1000), NOW).reports) == 1000
    with pytest.raises(UnreadableReports):
        parse_push(reports(1001), NOW)


@pytest.mark.parametrize(
    "value",
    ["[" + "{}," * 170_000 + "{}]", "[" + "1," * 250_000 + "1]", "[" * SIZE, "9" * SIZE, " " * SIZE,
     "[" + json.dumps({"sid": "1", "report_status": "SUCCESS", "user_receive_time": " " * 500_000}) + "]",
     "[" + json.dumps({"sid": "1", "report_status": "FAIL", "error_msg": "A" * 500_000}) + "]",
     "[" + json.dumps({"sid": "1" * 500_000, "report_status": "FAIL"}) + "]"],
    ids=["objects", "numbers", "nested", "a number", "blanks", "a time", "a code", "a sid"],
)  # fmt: skip
def test_nothing_in_a_push_takes_many_steps(value: str) -> None:
    assert instructions(parse_push, value, NOW) < MAX_INSTRUCTIONS


async def test_a_form_with_many_members_is_refused(api: Api) -> None:
    body = urlencode({"sms_status": reports(1)}) + "&a" * 100
    assert (await api.call("POST", URL, data=body, headers=FORM)).status == 400


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "", "application/json"])
async def test_another_type_of_body_is_not_read(api: Api, content_type: str) -> None:
    body = "--x\r\nContent-Disposition: form-data; name=sms_status\r\n\r\n[]\r\n--x--\r\n"
    assert (await api.call("POST", URL, data=body, headers={"Content-Type": content_type})).status == 400


async def test_a_large_body_with_a_wrong_secret_gets_the_answer_of_an_unknown_path(api: Api) -> None:
    body = urlencode({"sms_status": quote_plus(reports(1000))}).ljust(SIZE, "x")
    for path in (
        "/callbacks/yunpian/wrong/",
        "/callbacks/nowhere/",
        URL.replace(CALLBACK_SECRET, "x" * 1000),
    ):
        reply = await api.call("POST", path, data=body, headers=FORM)
        assert (reply.status, reply["type"]) == (404, "/problems/not-found")


async def test_a_client_that_goes_while_it_sends_is_not_in_flight_for_ever(api: Api, system: System) -> None:
    """Otherwise a worker could not be drained."""
    port = int(system.env["SMS_PORT"])
    for path in (URL, "/callbacks/nowhere/"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsms".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
    for _ in range(50):
        async with api.session.get(f"http://127.0.0.1:{port}/metrics") as response:
            metrics = await response.text()
        if 'status="499"' in metrics and "dialpass_http_requests_in_flight 0.0" in metrics:
            return
        await asyncio.sleep(0.1)
    pytest.fail(metrics)
