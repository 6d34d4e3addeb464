"""The bodies of the simulator's errors."""

import pytest

from deploy.local.simulator.error_codes import YunpianError


def test_the_message_of_33_is_null() -> None:
    assert YunpianError(33, "13712345678").body == {
        "http_status_code": 400,
        "code": 33,
        "msg": None,
        "detail": "号码：13712345678, 超过频率，同一个手机号同一验证码模板每30秒只能发送一条",
    }


@pytest.mark.parametrize(
    ("code", "values", "detail"),
    [
        (1, ("apikey",), "参数 apikey 必须传入"),
        (2, ("mobile", "189194884497"), "参数 mobile 格式不正确，mobile:189194884497"),
        (4, ("贷款",), "关键词 贷款 为屏蔽词，不允许发送"),
        (5, (), "未自动匹配到合适的模板"),
        (15, ("Other",), "签名 【Other】 与设置的签名不匹配"),
        (20, (), "请确认号码归属地"),
        (22, (), "验证码类短信1小时内同一手机号发送次数不能超过3次"),
        (23, (), "请提交模板可发送国家列表内的号码"),
        (-1, (), "请检查您的apikey是否正确，或者账户已经失效"),
        (-3, ("1.2.3.4",), "IP 1.2.3.4 未加入白名单,可在后台‘系统设置->IP白名单设置’里添加"),
    ],
)
def test_details_are_as_observed(code: int, values: tuple[str, ...], detail: str) -> None:
    assert YunpianError(code, *values).body["detail"] == detail


def test_an_undocumented_code_has_a_body() -> None:
    assert YunpianError(12345).body["code"] == 12345
