"""What accounts answer differently, and faults of one channel or of foreign numbers."""

from typing import Any

import aiohttp
import pytest

from tests.support.provider import KEY
from tests.support.simulated_account import FOREIGN_TEXT, MOBILE, TEXT

FOREIGN = "+447400123456"


async def post(session: aiohttp.ClientSession, url: str, **form: str) -> Any:
    async with session.post(url, data={"apikey": KEY, **form}) as response:
        return await response.json(content_type=None)


async def send(session: aiohttp.ClientSession, url: str, mobile: str = MOBILE, **form: str) -> Any:
    text = FOREIGN_TEXT if mobile == FOREIGN else TEXT
    return await post(session, f"{url}/v2/sms/single_send.json", mobile=mobile, text=text, **form)


async def call(session: aiohttp.ClientSession, url: str, mobile: str = MOBILE) -> Any:
    return await post(session, f"{url}/v2/voice/send.json", mobile=mobile, code="123456")


async def change_account(session: aiohttp.ClientSession, url: str, **config: Any) -> None:
    async with session.put(f"{url}/_account", json={"limits": False, **config}) as response:
        assert response.status == 200, await response.text()


async def fault(session: aiohttp.ClientSession, url: str, **rule: Any) -> None:
    async with session.post(f"{url}/_faults", json={"fault": "code", **rule}) as response:
        assert response.status == 201, await response.text()


async def test_a_fault_can_be_of_one_channel(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url)
    await fault(session, url, code=-11, channel="voice")
    assert (await send(session, url))["code"] == 0
    assert (await call(session, url))["code"] == -11


async def test_a_pull_can_be_refused_for_one_channel(session: aiohttp.ClientSession, url: str) -> None:
    await fault(session, url, code=-2, channel="voice", endpoint="pull_status")
    assert await post(session, f"{url}/v2/sms/pull_status.json") == []
    assert (await post(session, f"{url}/v2/voice/pull_status.json"))["code"] == -2


async def test_a_fault_can_be_of_foreign_numbers(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url)
    await fault(session, url, code=5, foreign=True)
    assert (await send(session, url))["code"] == 0
    assert (await send(session, url, f"+86{MOBILE}"))["code"] == 0
    assert (await send(session, url, FOREIGN))["code"] == 5
    assert (await call(session, url, FOREIGN))["code"] == 5


async def test_the_account_says_nothing_of_a_permission_that_it_lacks(
    session: aiohttp.ClientSession, url: str
) -> None:
    await change_account(session, url, denied=["send"])
    assert (await send(session, url))["code"] == (await call(session, url))["code"] == -2
    assert "code" not in await post(session, f"{url}/v2/user/get.json")
    await change_account(session, url, denied=["voice_send"])
    assert (await send(session, url))["code"] == 0


async def test_codes_can_be_strings(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url, codes_as_text=True)
    assert (await send(session, url))["code"] == "0"
    assert (await post(session, f"{url}/v2/sms/single_send.json"))["code"] == "1"


@pytest.mark.parametrize(("style", "sid"), [("null", {"sid": None}), ("missing", {})])
async def test_a_sid_can_be_null_or_missing(
    session: aiohttp.ClientSession, url: str, style: str, sid: dict[str, None]
) -> None:
    await change_account(session, url, answer_sids=style)
    for answer in (await send(session, url), await call(session, url)):
        assert {name: value for name, value in answer.items() if name == "sid"} == sid
        assert answer["count"] == 1


async def test_a_balance_can_be_in_pieces(session: aiohttp.ClientSession, url: str) -> None:
    await change_account(session, url, unit="COUNT", balance=3)
    answer = await send(session, url)
    assert (answer["fee"], answer["unit"]) == (1.0, "COUNT")
    assert (await post(session, f"{url}/v2/user/get.json"))["balance"] == 2.0


async def test_a_batch_is_200_with_an_answer_for_each_number(
    session: aiohttp.ClientSession, url: str
) -> None:
    numbers = f"{MOBILE},13800000001,{MOBILE},1380"
    answer = await post(session, f"{url}/v2/sms/batch_send.json", mobile=numbers, text=TEXT)
    assert (answer["total_count"], answer["total_fee"], answer["unit"]) == (2, "0.1000", "RMB")
    assert [item["code"] for item in answer["data"]] == [0, 0, 8, 2]
    assert "code" not in answer
