"""What became of a code at the phone, as its asker sees it in the end."""

import asyncio
import time
from typing import Any

from tests.support.client import Api, Phone, new_mobile


async def ends(api: Api, message_id: str, wanted: str, seconds: float = 20) -> dict[str, Any]:
    """Return a message's status once it is the wanted one."""
    deadline = time.monotonic() + seconds
    while (reply := await api.get(f"/code/{message_id}/"))["status"] != wanted:
        assert time.monotonic() < deadline, f"still {reply['status']}"
        await asyncio.sleep(0.05)
    status: dict[str, Any] = reply.body
    return status


async def test_a_client_sees_that_its_code_was_delivered(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.outcome(mobile=mobile, delay=0)
    asked = await api.post("/code/", {"mobile": mobile})
    await ends(api, asked["message_id"], "delivered")


async def test_a_client_sees_that_its_code_was_not_delivered(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.outcome(status="FAIL", error_msg="MK:0005", mobile=mobile, delay=0)
    asked = await api.post("/code/", {"mobile": mobile})
    await ends(api, asked["message_id"], "failed")


async def test_a_call_is_reported_like_a_text(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.outcome(mobile=mobile, delay=0)
    asked = await api.post("/code/", {"mobile": mobile, "channel": "voice"})
    await ends(api, asked["message_id"], "delivered")
