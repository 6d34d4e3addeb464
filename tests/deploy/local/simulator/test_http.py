"""The simulator over HTTP."""

import json
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from tests.support.provider import KEY

SECOND_KEY = "fedcba9876543210fedcba9876543210"
MOBILE = "13800000000"
TEXT = "【Dialpass】您的验证码是123456。如非本人操作，请忽略本短信"
SEND = "/v2/sms/single_send.json"
VOICE = "/v2/voice/send.json"


async def post(session: aiohttp.ClientSession, url: str, **form: str) -> tuple[int, Any]:
    async with session.post(url, data={"apikey": KEY, **form}) as response:
        return response.status, await response.json(content_type=None)


async def send(session: aiohttp.ClientSession, url: str, **form: str) -> tuple[int, Any]:
    return await post(session, url + SEND, **{"mobile": MOBILE, "text": TEXT, **form})


async def inbox(session: aiohttp.ClientSession, url: str, mobile: str = MOBILE) -> list[dict[str, Any]]:
    async with session.get(f"{url}/_inbox", params={"mobile": mobile}) as response:
        messages: list[dict[str, Any]] = await response.json()
        return messages


async def script(session: aiohttp.ClientSession, url: str, **rule: Any) -> None:
    async with session.post(url, json=rule) as response:
        assert response.status == 201, await response.text()


async def change_account(session: aiohttp.ClientSession, url: str, name: str, **config: Any) -> None:
    async with session.put(f"{url}/_account", params={"account": name}, json=config) as response:
        assert response.status == 200, await response.text()


async def fault(session: aiohttp.ClientSession, url: str, **rule: Any) -> None:
    await script(session, f"{url}/_faults", **rule)


async def test_an_accepted_text_is_in_the_inbox(session: aiohttp.ClientSession, url: str) -> None:
    status, body = await send(session, url)
    assert (status, body["code"], body["mobile"]) == (200, 0, MOBILE)
    (message,) = await inbox(session, url)
    assert (message["mobile"], message["text"], message["sid"]) == (MOBILE, TEXT, body["sid"])
    assert datetime.fromisoformat(message["at"]).tzinfo is not None
    assert await inbox(session, url, "13900000000") == []


async def test_the_inbox_can_be_emptied(session: aiohttp.ClientSession, url: str) -> None:
    await send(session, url)
    async with session.delete(f"{url}/_inbox") as response:
        assert response.status == 204
    assert await inbox(session, url) == []


async def test_an_error_is_a_400_with_the_observed_body(session: aiohttp.ClientSession, url: str) -> None:
    await send(session, url)
    status, body = await send(session, url, text=TEXT.replace("123456", "654321"))
    assert (status, body["http_status_code"], body["code"], body["msg"]) == (400, 400, 33, None)
    assert MOBILE in body["detail"]


async def test_a_json_body_is_rejected(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url + SEND, json={"apikey": KEY, "mobile": MOBILE, "text": TEXT}) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (400, 1)


async def test_get_is_rejected(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url + SEND) as response:
        assert (await response.json(content_type=None))["code"] == 11


@pytest.mark.parametrize(
    ("kind", "accepted"), [("drop", 0), ("reset", 0), ("accept_then_drop", 1), ("accept_then_reset", 1)]
)
async def test_a_closed_connection_can_lose_the_response_to_an_accepted_text(
    session: aiohttp.ClientSession, url: str, kind: str, accepted: int
) -> None:
    await fault(session, url, fault=kind, times=1)
    with pytest.raises(aiohttp.ClientError):
        await send(session, url)
    assert len(await inbox(session, url)) == accepted


@pytest.mark.parametrize(("kind", "accepted"), [("bad_gateway_html", 0), ("accept_then_bad_gateway", 1)])
async def test_a_502_has_an_html_body(
    session: aiohttp.ClientSession, url: str, kind: str, accepted: int
) -> None:
    await fault(session, url, fault=kind, times=1)
    data = {"apikey": KEY, "mobile": MOBILE, "text": TEXT}
    async with session.post(url + SEND, data=data) as response:
        assert (response.status, response.content_type) == (502, "text/html")
    assert len(await inbox(session, url)) == accepted


@pytest.mark.parametrize("code", [3, 5, 22, 53, -1, -3, -5, -50, 12345])
async def test_any_code_can_be_scripted(session: aiohttp.ClientSession, url: str, code: int) -> None:
    await fault(session, url, fault="code", code=code, times=1)
    status, body = await send(session, url)
    assert (status, body["code"]) == (400, code)
    assert (await send(session, url))[0] == 200


async def test_a_fault_can_be_for_one_number(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, fault="code", code=-50, mobile="13900000000")
    assert (await send(session, url))[0] == 200
    assert (await send(session, url, mobile="13900000000"))[0] == 400
    assert (await send(session, url, mobile="13900000000"))[0] == 400


async def test_an_error_code_can_follow_an_accepted_text(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, fault="accept_then_code", code=-50, times=1)
    assert (await send(session, url))[1]["code"] == -50
    assert len(await inbox(session, url)) == 1


async def test_a_response_can_be_sent_byte_by_byte(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, fault="slow_read", seconds=0.3, times=1)
    async with session.post(url + SEND, data={"apikey": KEY, "mobile": MOBILE, "text": TEXT}) as response:
        assert len(await inbox(session, url)) == 1
        first = await response.content.readany()
        assert len(first) < int(response.headers["Content-Length"])
        assert json.loads(first + await response.content.read())["code"] == 0


async def test_a_fault_can_be_for_one_account_or_endpoint(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, fault="code", code=-51, account="second")
    await fault(session, url, fault="code", code=-2, endpoint="user_get")
    assert (await send(session, url))[0] == 200
    assert (await send(session, url, apikey=SECOND_KEY))[1]["code"] == -51
    assert (await post(session, f"{url}/v2/user/get.json"))[1]["code"] == -2


async def test_a_malformed_rule_is_rejected(session: aiohttp.ClientSession, url: str) -> None:
    for content in ('{"fault": "unheard of"}', "{", '{"fault": "drop", "phone": "13800000000"}'):
        async with session.post(f"{url}/_faults", data=content) as response:
            assert response.status == 400


async def test_accounts_are_separate_and_named_in_the_inbox(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url, "first", balance=0.0)
    assert (await send(session, url))[1]["code"] == 3
    assert (await send(session, url, apikey=SECOND_KEY))[0] == 200
    assert [message["account"] for message in await inbox(session, url)] == ["second"]
    async with session.get(f"{url}/_account") as response:
        assert (await response.json())["answers"] == {"3": 1}
    async with session.get(f"{url}/_account", params={"account": "third"}) as response:
        assert response.status == 404


async def test_an_account_can_have_a_call_rate_limit(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url, "first", calls_per_second=0)
    assert (await send(session, url))[1]["code"] == -5
    await change_account(session, url, "first", calls_per_second=None)
    assert (await send(session, url))[0] == 200


async def test_a_voice_call_reads_out_the_code(session: aiohttp.ClientSession, url: str) -> None:
    status, body = await post(session, url + VOICE, mobile=MOBILE, code="123456")
    assert (status, set(body), body["count"]) == (200, {"count", "fee", "sid"}, 1)
    (message,) = await inbox(session, url)
    assert (message["channel"], message["sid"]) == ("voice", body["sid"])
    assert "123456" in message["text"]
    assert (await post(session, url + VOICE, mobile=MOBILE, code="123456"))[1]["code"] == 53


async def test_the_account_shows_its_balance_and_white_list(session: aiohttp.ClientSession, url: str) -> None:
    await send(session, url)
    await change_account(session, url, "first", ip_whitelist=["127.0.0.1", "192.0.2.1"])
    status, body = await post(session, f"{url}/v2/user/get.json")
    assert (status, body["balance"], body["ip_whitelist"]) == (200, 9999.95, "127.0.0.1,192.0.2.1")
    await change_account(session, url, "first", ip_whitelist=["192.0.2.1"])
    assert (await post(session, f"{url}/v2/user/get.json"))[1]["code"] == -3


async def test_the_page_loads_nothing_from_elsewhere(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url + "/") as response:
        page = await response.text()
    assert response.content_type == "text/html"
    assert "http://" not in page
    assert "https://" not in page
