"""Logto's connector for Yunpian, a stranger's production code, against the simulator."""

from collections.abc import Awaitable, Callable

from tests.support.provider import FOREIGN_MOBILE, MOBILE, TEXT, Simulator
from tests.support.simulated_account import FOREIGN_TEXT
from tests.vendors.conftest import Answers, slow_at_first

pytestmark = slow_at_first

HOME = TEXT.replace("123456", "{{code}}")
ABROAD = FOREIGN_TEXT.replace("123456", "{{code}}")


def message(to: str, content: str = HOME, code: str = "123456") -> dict[str, str]:
    return {"to": to, "content": content, "code": code}


async def test_texts_reach_home_and_foreign_numbers(
    connector: Callable[..., Awaitable[Answers]], simulator: Simulator
) -> None:
    answers = await connector(message(f"86{MOBILE}"), message(FOREIGN_MOBILE.removeprefix("+"), ABROAD))

    inbox = await simulator.inbox()
    assert [(item["mobile"], item["sid"]) for item in inbox] == [
        (answer["body"]["mobile"], answer["body"]["sid"]) for answer in answers
    ]
    assert [item["mobile"] for item in inbox] == [MOBILE, FOREIGN_MOBILE]
    assert inbox[0]["text"] == TEXT
    assert {answer["status"] for answer in answers} == {200}


async def test_a_refusal_is_its_message(
    connector: Callable[..., Awaitable[Answers]], simulator: Simulator
) -> None:
    sent, again, foreign = await connector(
        message(f"86{MOBILE}"), message(f"86{MOBILE}"), message(FOREIGN_MOBILE)
    )

    assert sent["body"]["code"] == 0
    assert "同一手机号30秒内重复提交相同的内容" in str(again)
    assert "未找到匹配的模板" in str(foreign)
    assert len(await simulator.inbox()) == 1
