"""The worker's client against a server that was made without the simulator: both could share an error."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from services.sms.provider.base import SearchStatus, SendStatus
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.reports import parse_items, parse_push
from services.sms.provider.yunpian.transport import new_session
from services.sms.settings import ProviderSettings
from shared.clock import now
from shared.observability.metrics import ProviderMetrics
from tests.support.clock import NOW
from tests.support.provider import ALWAYS, CODE, FOREIGN_MOBILE, MOBILE, TEXT, outgoing
from tests.vendors.independent_server import API_KEY, IndependentYunpian, running_server

SEND, VOICE = "/v2/sms/single_send.json", "/v2/voice/send.json"
# As in the documents and in bodies that were quoted in public; `msg` may be null, and older ones have no
# `http_status_code`.
ACCEPTED = (
    '{"code":0,"msg":"发送成功","count":1,"fee":0.05,"unit":"RMB","mobile":"13200000000","sid":3310228982}'
)
REFUSALS = [
    (
        '{"http_status_code":400,"code":3,"msg":"账户余额不足","detail":"账户需要充值，请充值后重试"}',
        SendStatus.DEFERRED,
    ),
    ('{"code":5,"msg":"未找到匹配的模板","detail":"未自动匹配到合适的模板"}', SendStatus.DEFERRED),
    (
        '{"http_status_code":400,"code":2,"msg":"请求参数格式错误",'
        '"detail":"参数 mobile 格式不正确，mobile:189194884497"}',
        SendStatus.REJECTED,
    ),
    (
        '{"http_status_code":400,"code":20,"msg":"暂不支持的国家地区","detail":"请确认号码归属地"}',
        SendStatus.REJECTED,
    ),
    (
        '{"http_status_code":400,"code":22,"msg":"1小时内同一手机号发送次数超过限制",'
        '"detail":"验证码类短信1小时内同一手机号发送次数不能超过3次"}',
        SendStatus.LIMITED,
    ),
    (
        '{"http_status_code":400,"code":33,"msg":null,"detail":"号码：13712345678, 超过频率，'
        '同一个手机号同一验证码模板每30秒只能发送一条"}',
        SendStatus.LIMITED,
    ),
    ('{"code":"8","msg":"同一手机号30秒内重复提交相同的内容"}', SendStatus.LIMITED),
    (
        '{"http_status_code":400,"code":-3,"msg":"IP没有权限",'
        '"detail":"IP 1.2.3.4 未加入白名单,可在后台‘系统设置->IP白名单设置’里添加"}',
        SendStatus.DEFERRED,
    ),
    ('{"http_status_code":400,"code":-50,"msg":"未知异常"}', SendStatus.UNKNOWN),
    ("<html><body><h1>502 Bad Gateway</h1></body></html>", SendStatus.UNKNOWN),
    ("", SendStatus.UNKNOWN),
    ("[]", SendStatus.UNKNOWN),
    ("null", SendStatus.UNKNOWN),
    ("[" * 100_000, SendStatus.UNKNOWN),
    ('{"code":null,"msg":"发送成功"}', SendStatus.UNKNOWN),
]


@pytest.fixture
def yunpian() -> Iterator[IndependentYunpian]:
    with running_server() as yunpian:
        yield yunpian


@pytest.fixture
async def client(yunpian: IndependentYunpian) -> AsyncIterator[YunpianClient]:
    settings = ProviderSettings.model_validate(
        {"yunpian_base_url": yunpian.url, "yunpian_api_key": API_KEY, "voice_hours": ALWAYS}
    )
    async with new_session() as session:
        yield open_accounts(settings, session, ProviderMetrics(CollectorRegistry()))[0]


async def test_a_text_is_sent_as_documented(yunpian: IndependentYunpian, client: YunpianClient) -> None:
    yunpian.answer(SEND, ACCEPTED)

    answer = await client.send(outgoing())

    assert (answer.status, answer.sid, answer.parts, answer.fee) == (
        SendStatus.ACCEPTED,
        "3310228982",
        1,
        Decimal("0.05"),
    )
    (request,) = yunpian.received
    assert (request.path, request.form["mobile"], request.form["text"]) == (SEND, MOBILE, TEXT)
    assert request.form["apikey"] == API_KEY


async def test_a_foreign_numbers_plus_is_encoded(yunpian: IndependentYunpian, client: YunpianClient) -> None:
    yunpian.answer(SEND, ACCEPTED)

    await client.send(outgoing(FOREIGN_MOBILE))

    assert f"mobile=%2B{FOREIGN_MOBILE[1:]}" in yunpian.received[0].body


async def test_a_call_is_made_as_documented(yunpian: IndependentYunpian, client: YunpianClient) -> None:
    yunpian.answer(VOICE, {"count": 1, "fee": 1, "sid": "931ee0bac7494aab8a422fff5c6be3ea"})

    answer = await client.send(outgoing(channel="voice"))

    assert (answer.status, answer.sid) == (SendStatus.ACCEPTED, "931ee0bac7494aab8a422fff5c6be3ea")
    (request,) = yunpian.received
    assert (request.path, request.form["mobile"], request.form["code"]) == (VOICE, MOBILE, CODE)


@pytest.mark.parametrize(("body", "status"), REFUSALS, ids=range(len(REFUSALS)))
async def test_a_refusal_is_understood(
    yunpian: IndependentYunpian, client: YunpianClient, body: str, status: SendStatus
) -> None:
    yunpian.answer(SEND, body, 502 if "502" in body else 400)

    assert (await client.send(outgoing())).status is status


@pytest.mark.parametrize("sid", ['"sid":null', '"mobile":"13200000000"'])
async def test_an_acceptance_without_a_sid_is_one(
    yunpian: IndependentYunpian, client: YunpianClient, sid: str
) -> None:
    yunpian.answer(SEND, f'{{"code":0,"msg":"发送成功","count":1,"fee":1.0,"unit":"COUNT",{sid}}}')

    answer = await client.send(outgoing())

    assert (answer.status, answer.sid, answer.fee) == (SendStatus.ACCEPTED, "", Decimal("0.05"))


async def test_the_account_is_read(yunpian: IndependentYunpian, client: YunpianClient) -> None:
    document = {
        "nick": "demo", "gmt_created": "2012-09-11 15:14:00", "mobile": "13012345678",
        "email": "demo@yunpian.com", "ip_whitelist": None, "api_version": "v2", "balance": 1010.5,
        "alarm_balance": 10, "emergency_contact": "", "emergency_mobile": "",
    }  # fmt: skip
    yunpian.answer("/v2/user/get.json", document)

    info = await client.info()

    assert (info.balance, info.alarm_balance, info.ip_whitelist) == (Decimal("1010.5"), Decimal(10), "")


async def test_an_account_that_is_no_object_is_a_failed_query(
    yunpian: IndependentYunpian, client: YunpianClient
) -> None:
    yunpian.answer("/v2/user/get.json", [])

    with pytest.raises(QueryFailed):
        await client.info()


@pytest.mark.parametrize("channel", ["sms", "voice"])
async def test_reports_are_pulled(yunpian: IndependentYunpian, client: YunpianClient, channel: str) -> None:
    report = {
        "error_detail": "接收成功", "sid": 6542423780, "uid": None,
        "user_receive_time": "2026-01-02 11:04:05", "error_msg": "",
        "mobile": "15205201314", "report_status": "SUCCESS",
    }  # fmt: skip
    yunpian.answer(f"/v2/{channel}/pull_status.json", [report, report | {"report_status": "FAIL"}])

    batch = parse_items(await client.pull_reports("voice" if channel == "voice" else "sms", 20), NOW)

    assert [(report.sid, report.status) for report in batch.reports] == [
        ("6542423780", "delivered"),
        ("6542423780", "failed"),
    ]
    assert yunpian.received[0].form["page_size"] == "20"


async def test_nothing_to_pull_is_an_empty_page(yunpian: IndependentYunpian, client: YunpianClient) -> None:
    yunpian.answer("/v2/sms/pull_status.json", [])

    assert parse_items(await client.pull_reports("sms", 20), now()).size == 0


async def test_a_message_is_found_by_its_uid_even_where_digits_are_masked(
    yunpian: IndependentYunpian, client: YunpianClient
) -> None:
    yunpian.answer(SEND, ACCEPTED)
    await client.send(outgoing())
    record = {
        "sid": "3310228982", "mobile": "138****0000", "send_time": "2026-01-02 11:04:05",
        "text": "【Dialpass】您的验证码是******", "send_status": "SUCCESS", "report_status": "UNKNOWN",
        "fee": 1, "user_receive_time": None, "error_msg": None, "uid": yunpian.received[0].form["uid"],
    }  # fmt: skip
    yunpian.answer("/v2/sms/get_record.json", [record])
    yunpian.answer("/v2/sms/get_record.json", [record | {"uid": None, "send_time": "yesterday"}])
    yunpian.answer("/v2/sms/get_record.json", [])

    since = now()
    results = [await client.find(outgoing(), since) for _ in range(3)]

    assert [result.status for result in results] == [
        SearchStatus.FOUND,
        SearchStatus.UNCLEAR,
        SearchStatus.NOT_FOUND,
    ]
    assert results[0].sid == "3310228982"
    assert {"mobile", "start_time", "end_time"} <= set(yunpian.received[1].form)


def test_a_push_is_read_as_documented() -> None:
    value = (
        '[{"sid":9527,"uid":null,"user_receive_time":"2014-03-17 22:55:21","error_msg":"",'
        '"mobile":"15205201314","report_status":"SUCCESS"},{"sid":9528,"uid":null,'
        '"user_receive_time":"2014-03-17 22:55:23","error_msg":"DB:0103","mobile":"15212341234",'
        '"report_status":"FAIL"}]'
    )

    batch = parse_push(value, NOW)

    assert [(report.sid, report.status, report.code) for report in batch.reports] == [
        ("9527", "delivered", ""),
        ("9528", "failed", "DB:0103"),
    ]
