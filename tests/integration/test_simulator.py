"""The simulator on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings

KEY = "0123456789abcdef0123456789abcdef"
MOBILE = "13800000000"
TEXT = "【Dialpass】您的验证码是123456。如非本人操作，请忽略本短信"
SEND = "/v2/sms/single_send.json"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = HTTPServer(make_app(SimulatorSettings(yunpian_api_key=KEY)))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


async def send(session: aiohttp.ClientSession, url: str, **form: str) -> tuple[int, Any]:
    data = {"apikey": KEY, "mobile": MOBILE, "text": TEXT, **form}
    async with session.post(url + SEND, data=data) as response:
        return response.status, await response.json(content_type=None)


async def inbox(session: aiohttp.ClientSession, url: str, mobile: str = MOBILE) -> list[dict[str, Any]]:
    async with session.get(f"{url}/_inbox", params={"mobile": mobile}) as response:
        messages: list[dict[str, Any]] = await response.json()
        return messages


async def fault(session: aiohttp.ClientSession, url: str, **rule: Any) -> None:
    async with session.post(f"{url}/_faults", json=rule) as response:
        assert response.status == 201


async def test_an_accepted_text_is_in_the_inbox(session: aiohttp.ClientSession, url: str) -> None:
    status, body = await send(session, url)
    assert (status, body["code"], body["mobile"]) == (200, 0, MOBILE)
    (message,) = await inbox(session, url)
    assert set(message) == {"mobile", "text", "sid", "at"}
    assert (message["text"], message["sid"]) == (TEXT, body["sid"])
    assert await inbox(session, url, "13900000000") == []


async def test_the_inbox_can_be_emptied(session: aiohttp.ClientSession, url: str) -> None:
    await send(session, url)
    async with session.delete(f"{url}/_inbox") as response:
        assert response.status == 204
    assert await inbox(session, url) == []


async def test_a_refusal_is_status_400_with_the_observed_body(
    session: aiohttp.ClientSession, url: str
) -> None:
    await send(session, url)
    status, body = await send(session, url, text=TEXT.replace("123456", "654321"))
    assert (status, body["http_status_code"], body["code"], body["msg"]) == (400, 400, 33, None)
    assert MOBILE in body["detail"]


async def test_a_json_body_is_not_understood(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url + SEND, json={"apikey": KEY, "mobile": MOBILE, "text": TEXT}) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (400, 1)


async def test_get_is_not_supported(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url + SEND) as response:
        assert (await response.json(content_type=None))["code"] == 11


@pytest.mark.parametrize(("kind", "accepted"), [("drop", 0), ("reset", 0), ("accept_then_drop", 1)])
async def test_a_lost_answer_tells_nothing_of_the_text(
    session: aiohttp.ClientSession, url: str, kind: str, accepted: int
) -> None:
    await fault(session, url, fault=kind, times=1)
    with pytest.raises(aiohttp.ClientError):
        await send(session, url)
    assert len(await inbox(session, url)) == accepted


@pytest.mark.parametrize(("kind", "accepted"), [("bad_gateway_html", 0), ("accept_then_bad_gateway", 1)])
async def test_a_gateway_in_between_may_answer_html(
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


async def test_a_fault_may_be_for_one_number_only(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, fault="code", code=-50, mobile="13900000000")
    assert (await send(session, url))[0] == 200
    assert (await send(session, url, mobile="13900000000"))[0] == 400
    assert (await send(session, url, mobile="13900000000"))[0] == 400


async def test_the_page_is_served_whole(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url + "/") as response:
        page = await response.text()
    assert response.content_type == "text/html"
    assert "http://" not in page
    assert "https://" not in page
