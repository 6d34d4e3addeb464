"""Yunpian's words in logs: what an operator needs, without numbers and codes."""

import pytest
from structlog.testing import capture_logs

from services.sms.provider.base import SendStatus
from services.sms.provider.yunpian.details import mask_detail
from tests.support.provider import CODE, MOBILE, OpenWorker, Simulator, send


@pytest.mark.parametrize(
    ("detail", "masked"),
    [
        ("IP 203.0.113.7 未加入白名单,可在后台添加", "IP 203.0.113.7 未加入白名单,可在后台添加"),
        ("关键词 X 为屏蔽词，不允许发送", "关键词 X 为屏蔽词,不允许发送"),
        ("签名 【X】 与设置的签名不匹配", "签名 【X】 与设置的签名不匹配"),
        ("参数 mobile 格式不正确，mobile:189194884497", "参数 mobile 格式不正确,mobile:****"),
        (f"号码：{MOBILE}, 超过频率，每30秒只能发送一条", "号码:****, 超过频率,每30秒只能发送一条"),
        ("+44 7400 123456", "****"),
        ("138-0000-0000 8613800000000", "****"),
        ("１３８００００００００", "****"),
        (f"【Dialpass】您的验证码是{CODE}。", "【Dialpass】您的验证码是****。"),
        ("code 123 456", "code ****"),
        ("two\nlines", "two lines"),
        (None, ""),
        ({"mobile": MOBILE}, ""),
    ],
)
def test_numbers_and_codes_are_masked(detail: object, masked: str) -> None:
    assert mask_detail(detail) == masked


@pytest.mark.parametrize("code", ["1234", "12345678"])
def test_a_code_of_any_length_is_masked(code: str) -> None:
    assert mask_detail(f"验证码{code}错误 x{code}y") == "验证码****错误 x****y"


def test_a_long_explanation_is_cut() -> None:
    assert len(mask_detail("x" * 10_000)) == 200


async def test_a_blocked_word_is_logged(open_worker: OpenWorker, simulator: Simulator) -> None:
    worker = await open_worker(yunpian_accounts="")
    await simulator.fault(fault="code", code=4, detail="彩票")
    with capture_logs() as logs:
        answer = await send(worker)

    assert (answer.status, answer.of_number) == (SendStatus.REJECTED, False)
    [line] = [line for line in logs if line["event"] == "provider_refused"]
    assert (line["provider_code"], line["detail"]) == (4, "关键词 彩票 为屏蔽词,不允许发送")
