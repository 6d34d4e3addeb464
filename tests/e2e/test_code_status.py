"""What a client is told of the message with its code, at each of its states."""

import asyncio
import time
from typing import Any

import pytest

from tests.support.client import Api, Phone, Reply, new_mobile


async def becomes(api: Api, message_id: str, status: str) -> Reply:
    deadline = time.monotonic() + 15
    while (reply := await api.get(f"/code/{message_id}/"))["status"] != status:
        assert time.monotonic() < deadline, f"still {reply['status']}"
        await asyncio.sleep(0.05)
    return reply


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"fault": "latency", "seconds": 1}, "sent"),
        ({"fault": "code", "code": -51}, "sent"),
        ({"fault": "accept_then_drop"}, "sent"),
        ({"fault": "code", "code": 22}, "limited"),
        ({"fault": "code", "code": 10}, "failed"),
    ],
    ids=["slow", "busy", "answer-lost", "limited", "refused"],
)
async def test_a_client_sees_what_became_of_its_code(
    api: Api, phone: Phone, fault: dict[str, Any], status: str
) -> None:
    mobile = new_mobile()
    await phone.fault(mobile=mobile, times=1, **fault)
    asked = await api.post("/code/", {"mobile": mobile})
    seen = await becomes(api, asked["message_id"], status)
    assert seen.body == {
        "message_id": asked["message_id"], "status": status, "updated_at": seen["updated_at"],
    }  # fmt: skip
    assert len(await phone.texts(mobile)) == (status == "sent")


async def test_what_waits_or_is_being_sent_is_queued_to_a_client(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.fault(mobile=mobile, fault="code", code=-51, times=2)
    await phone.fault(mobile=mobile, fault="latency", seconds=0.3)
    asked = await api.post("/code/", {"mobile": mobile})
    seen = set()
    while (reply := await api.get(f"/code/{asked['message_id']}/"))["status"] != "sent":
        seen.add(reply["status"])
        await asyncio.sleep(0.02)
    assert seen == {"queued"}
