"""The vendor's SDKs for Python and for Node against the simulator: what they read is what it meant."""

from datetime import timedelta
from typing import Any

import pytest

from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import format_china_time
from services.sms.provider.yunpian.error_codes import RULES
from shared.clock import now
from tests.support.provider import CODE, FOREIGN_MOBILE, MOBILE, TEXT, Simulator
from tests.support.simulated_account import FOREIGN_TEXT
from tests.vendors.conftest import Call, RunSdk, slow_at_first

pytestmark = slow_at_first

REFUSED = {"data": None, "exception": None}


def single_send(mobile: str = MOBILE, text: str = TEXT, **more: str) -> Call:
    return ("sms", "single_send", {"mobile": mobile, "text": text, **more})


async def test_a_text_is_sent(sdk: RunSdk, simulator: Simulator) -> None:
    (answer,) = await sdk(single_send())

    [message] = await simulator.inbox()
    assert (message["mobile"], message["text"]) == (MOBILE, TEXT)
    assert (answer["code"], answer["exception"]) == (0, None)
    assert answer["data"] == {
        "code": 0, "msg": "发送成功", "count": 1, "fee": 0.05, "unit": "RMB", "mobile": MOBILE,
        "sid": message["sid"],
    }  # fmt: skip


async def test_a_foreign_number_keeps_its_plus(sdk: RunSdk, simulator: Simulator) -> None:
    (answer,) = await sdk(single_send(FOREIGN_MOBILE, FOREIGN_TEXT))

    assert answer["data"]["mobile"] == FOREIGN_MOBILE
    assert [message["mobile"] for message in await simulator.inbox()] == [FOREIGN_MOBILE]


async def test_a_batch_has_an_answer_for_each_number(sdk: RunSdk, simulator: Simulator) -> None:
    numbers = f"{MOBILE},13800000001,{MOBILE}"
    (answer,) = await sdk(("sms", "batch_send", {"mobile": numbers, "text": TEXT}))

    assert answer["code"] == 0
    assert [item["code"] for item in answer["data"]["data"]] == [0, 0, 8]
    sids = [message["sid"] for message in await simulator.inbox()]
    assert [item["sid"] for item in answer["data"]["data"]] == [*sids, None]
    assert (answer["data"]["total_count"], answer["data"]["unit"]) == (2, "RMB")


async def test_the_account_is_shown(sdk: RunSdk, simulator: Simulator) -> None:
    await simulator.set_account(balance=12.34, ip_whitelist=["127.0.0.1", "192.0.2.1"])

    (answer,) = await sdk(("user", "get", {}))

    assert (answer["code"], answer["data"]["balance"]) == (0, 12.34)
    assert answer["data"]["ip_whitelist"] == "127.0.0.1,192.0.2.1"


async def test_reports_are_pulled_once(sdk: RunSdk, simulator: Simulator) -> None:
    pull: Call = ("sms", "pull_status", {"page_size": "20"})
    sent, pulled, again = await sdk(single_send(uid="order-1"), pull, pull)

    (report,) = pulled["data"]
    assert (report["sid"], report["uid"], report["mobile"]) == (sent["data"]["sid"], "order-1", MOBILE)
    assert (report["report_status"], report["error_msg"], report["error_detail"]) == (
        "SUCCESS",
        "DELIVRD",
        "接收成功",
    )
    assert not again["data"]


async def test_records_are_found(sdk: RunSdk) -> None:
    period = {
        "start_time": format_china_time(now() - timedelta(minutes=1)),
        "end_time": format_china_time(now() + timedelta(minutes=1)),
    }
    sent, found = await sdk(single_send(uid="order-1"), ("sms", "get_record", {"mobile": MOBILE, **period}))

    (record,) = found["data"]
    assert record["sid"] == str(sent["data"]["sid"])
    assert (record["uid"], record["text"], record["send_status"]) == ("order-1", TEXT, "SUCCESS")


async def test_a_call_is_made_and_reported(sdk: RunSdk, simulator: Simulator) -> None:
    sent, pulled = await sdk(
        ("voice", "send", {"mobile": MOBILE, "code": CODE}), ("voice", "pull_status", {"page_size": "20"})
    )

    [message] = await simulator.inbox()
    assert message["channel"] == "voice"
    assert (sent["code"], sent["data"]) == (0, {"count": 1, "fee": 1, "sid": message["sid"]})
    (report,) = pulled["data"]
    assert (report["sid"], report["report_status"], report["duration"]) == (message["sid"], "SUCCESS", 10)


async def test_every_refusal_is_read(sdk: RunSdk, simulator: Simulator) -> None:
    numbers = {code: f"139{index:08}" for index, code in enumerate(code for code in RULES if code)}
    for code, mobile in numbers.items():
        await simulator.fault(fault="code", code=code, mobile=mobile)

    answers = await sdk(*(single_send(mobile) for mobile in numbers.values()))

    expected = [refusal(code, mobile) for code, mobile in numbers.items()]
    assert answers == expected
    assert [answer["msg"] for answer in answers if answer["code"] == 33] == [None]


def refusal(code: int, mobile: str) -> dict[str, Any]:
    body = YunpianError(code, mobile).body
    return {"code": code, "msg": body["msg"], "detail": body["detail"], **REFUSED}


@pytest.mark.parametrize("mobile", ["138", "8613800000000"])
async def test_a_malformed_number_is_named(sdk: RunSdk, mobile: str) -> None:
    (answer,) = await sdk(single_send(mobile))
    assert (answer["code"], answer["detail"]) == (2, f"参数 mobile 格式不正确，mobile:{mobile}")


async def test_foreign_and_home_templates_are_separate(sdk: RunSdk) -> None:
    abroad, home = await sdk(single_send(FOREIGN_MOBILE, TEXT), single_send(MOBILE, FOREIGN_TEXT))
    assert (abroad["code"], home["code"]) == (5, 5)


async def test_codes_as_strings_are_understood(sdk: RunSdk, simulator: Simulator) -> None:
    await simulator.set_account(codes_as_text=True)
    sent, refused = await sdk(single_send(), single_send())
    assert (int(sent["code"]), int(refused["code"])) == (0, 8)


async def test_an_acceptance_without_a_sid_is_one(sdk: RunSdk, simulator: Simulator) -> None:
    await simulator.set_account(answer_sids="null")
    text, call = await sdk(single_send(), ("voice", "send", {"mobile": FOREIGN_MOBILE, "code": CODE}))
    assert (text["code"], text["data"]["sid"], call["code"], call["data"]["sid"]) == (0, None, 0, None)
