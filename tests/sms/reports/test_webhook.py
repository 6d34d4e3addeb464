"""Status reports pushed through the gateway to the worker."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import pytest
from redis.asyncio import Redis

from services.sms.delivery.repository import MessageRepository
from tests.support.client import Api, Reply
from tests.support.sms_delivery import accepted
from tests.support.system import CALLBACK_SECRET, System

URL = f"/callbacks/yunpian/{CALLBACK_SECRET}/"
FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


@pytest.fixture
def repository(system_redis: Redis) -> MessageRepository:
    return MessageRepository(system_redis)


def new_sid() -> str:
    return str(secrets.randbits(48))


def item(sid: str, **members: Any) -> dict[str, Any]:
    return {
        "sid": int(sid) if sid.isdecimal() else sid, "uid": None, "mobile": "13800000000",
        "report_status": "SUCCESS", "error_msg": "DELIVRD", "error_detail": "",
        "user_receive_time": "2026-01-02 11:04:05",
    } | members  # fmt: skip


def form(*items: Any) -> str:
    return urlencode({"sms_status": json.dumps(items, ensure_ascii=False)})


async def push(api: Api, body: str | bytes, path: str = URL, **options: Any) -> tuple[int, str]:
    async with api.session.post(api.url + path, data=body, headers=FORM, **options) as response:
        return response.status, await response.text()


async def state(repository: MessageRepository, message_id: str) -> str:
    return (await repository.fields(message_id))["state"]


@pytest.mark.parametrize("path", [URL, URL.rstrip("/")])
async def test_a_push_is_acknowledged_once_stored(api: Api, repository: MessageRepository, path: str) -> None:
    good, bad = new_sid(), new_sid()
    messages = [await accepted(repository, sid) for sid in (good, bad)]
    failed = item(bad, report_status="FAIL", error_msg="DB:0103", error_detail="号码状态异常")
    assert await push(api, form(item(good), failed), path) == (200, "SUCCESS")
    assert [await state(repository, message) for message in messages] == ["delivered", "failed"]


async def test_a_hundred_reports_encoded_twice_fit(api: Api, repository: MessageRepository) -> None:
    sids = [new_sid() for _ in range(100)]
    messages = [await accepted(repository, sid) for sid in sids]
    items = [item(sid, uid="u" * 256, error_detail="短信已送达用户手机" * 5) for sid in sids]
    body = urlencode({"sms_status": quote_plus(json.dumps(items, ensure_ascii=False))})
    assert len(body) > 64 * 1024
    assert await push(api, body) == (200, "SUCCESS")
    assert {await state(repository, message) for message in messages} == {"delivered"}


async def test_reports_of_voice_calls_have_their_own_form_member(
    api: Api, repository: MessageRepository
) -> None:
    sid = secrets.token_hex(16)
    message_id = await accepted(repository, sid)
    body = urlencode({"voice_status": json.dumps([item(sid, duration=10)])})
    assert await push(api, body) == (200, "SUCCESS")
    assert await state(repository, message_id) == "delivered"


async def test_a_hundred_concurrent_pushes_are_all_acknowledged(
    api: Api, repository: MessageRepository
) -> None:
    sids = [new_sid() for _ in range(30)]
    messages = [await accepted(repository, sid) for sid in sids]
    body = form(*map(item, sids))
    assert await asyncio.gather(*(push(api, body) for _ in range(100))) == [(200, "SUCCESS")] * 100
    assert {await state(repository, message) for message in messages} == {"delivered"}


@pytest.mark.parametrize(
    "secret", ["wrong", CALLBACK_SECRET[:-1], CALLBACK_SECRET + "x", CALLBACK_SECRET.upper(), "%2e"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_wrong_secret_is_answered_with_404(
    api: Api, repository: MessageRepository, method: str, secret: str
) -> None:
    sid = new_sid()
    message_id = await accepted(repository, sid)
    reply = await api.call(method, f"/callbacks/yunpian/{secret}/", data=form(item(sid)), headers=FORM)
    assert_problem(reply, 404, "not-found")
    assert await state(repository, message_id) == "accepted"


@pytest.mark.parametrize("path", ["/callbacks/", "/callbacks/yunpian/", f"{URL}more", "/callbacks/metrics"])
async def test_other_paths_are_answered_with_404(api: Api, path: str) -> None:
    assert_problem(await api.post(path, {}), 404, "not-found")


async def test_only_post_is_allowed(api: Api) -> None:
    reply = await api.get(URL)
    assert_problem(reply, 405, "method-not-allowed")
    assert reply.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "body",
    [
        "", "garbage", "sms_status=", "sms_status=garbage", "sms_status={}", "sms_status=[1]", "other=[]",
        "sms_status=[]&sms_status=[]", "sms_status=%5B" * 2000, b"\x00\xff", "sms_status=" + "[" * 100_000,
    ],
    ids=range(11),
)  # fmt: skip
async def test_garbage_is_refused(api: Api, body: str | bytes) -> None:
    status, text = await push(api, body)
    assert status == 400
    assert "SUCCESS" not in text


async def test_a_body_that_is_not_a_form_is_refused(api: Api) -> None:
    assert_problem(await api.post(URL, [item(new_sid())]), 400, "invalid-request")


async def test_garbage_among_reports_does_not_stop_the_others(
    api: Api, repository: MessageRepository
) -> None:
    sid = new_sid()
    message_id = await accepted(repository, sid)
    detail_in_another_encoding = form(item(sid, error_detail="X")).replace(
        "X", quote_plus("号码".encode("gbk"))
    )
    assert await push(api, detail_in_another_encoding) == (200, "SUCCESS")
    assert await state(repository, message_id) == "delivered"
    other = new_sid()
    message_id = await accepted(repository, other)
    assert await push(api, form({"sid": None}, "garbage", item(other))) == (200, "SUCCESS")
    assert await state(repository, message_id) == "delivered"


async def test_a_push_of_which_nothing_is_known_yet_is_acknowledged(
    api: Api, repository: MessageRepository
) -> None:
    sid = new_sid()
    message_id = await accepted(repository, sid)
    unknown = item(sid, report_status="UNKNOWN", error_msg=None, user_receive_time=None)
    assert await push(api, form(unknown)) == (200, "SUCCESS")
    assert await state(repository, message_id) == "accepted"
    assert await push(api, form(item(sid))) == (200, "SUCCESS")
    assert await state(repository, message_id) == "delivered"


async def test_a_report_without_an_array_around_it_is_stored(api: Api, repository: MessageRepository) -> None:
    sid = new_sid()
    message_id = await accepted(repository, sid)
    assert await push(api, urlencode({"sms_status": json.dumps(item(sid))})) == (200, "SUCCESS")
    assert await state(repository, message_id) == "delivered"


@pytest.mark.parametrize("encode", [str, quote_plus], ids=["once", "twice"])
async def test_a_reply_from_a_phone_is_acknowledged_and_not_kept(
    api: Api, system: System, encode: Callable[[str], str]
) -> None:
    text = f"TD {new_sid()}"
    reply = {
        "id": "2a70c6bb4f2845da816ea1bfe5732747", "mobile": "15205201314", "text": text, "extend": "01",
        "reply_time": "2014-03-17 22:55:21", "base_extend": "8888", "_sign": "393d079e",
    }  # fmt: skip
    assert await push(api, urlencode({"sms_reply": encode(json.dumps(reply))})) == (200, "SUCCESS")
    assert text not in system.sms.log.read_text()
    assert "15205201314" not in system.sms.log.read_text()


async def test_five_hundred_calls_are_reported_in_one_push(api: Api, repository: MessageRepository) -> None:
    sids = [secrets.token_hex(16) for _ in range(500)]
    messages = [await accepted(repository, sid) for sid in sids]
    items = [item(sid, uid=sid, error_detail="接收成功", duration=10) for sid in sids]
    body = urlencode({"voice_status": quote_plus(json.dumps(items, ensure_ascii=False))})
    assert len(body) > 200_000
    assert await push(api, body) == (200, "SUCCESS")
    assert {await state(repository, message) for message in messages} == {"delivered"}


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    reply = await api.call("POST", URL, data=b"x" * (512 * 1024 + 1), headers=FORM)
    assert_problem(reply, 413, "payload-too-large")


async def test_the_secret_is_in_no_log_and_no_metric(
    api: Api, session: aiohttp.ClientSession, system: System
) -> None:
    await push(api, form(item(new_sid())))
    await push(api, "garbage")
    await api.get(URL)
    await api.get(URL + "more")
    await asyncio.sleep(0.2)  # the gateway collects its lines
    for process in (system.gateway, system.sms):
        assert CALLBACK_SECRET not in process.log.read_text()
        async with session.get(process.probe.replace("/readyz", "/metrics")) as response:
            metrics = await response.text()
        assert CALLBACK_SECRET not in metrics
        assert "callbacks" in metrics
    lines = [json.loads(line) for line in system.sms.log.read_text().splitlines() if '"request"' in line]
    assert {line["route"] for line in lines} <= {"/callbacks/yunpian/{secret}/", "other"}


def assert_problem(reply: Reply, status: int, slug: str) -> None:
    assert (reply.status, reply["status"]) == (status, status)
    assert reply["type"] == f"/problems/{slug}"
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_options_names_the_method_where_the_secret_is_right(
    session: aiohttp.ClientSession, system: System
) -> None:
    worker = Api(session, f"http://127.0.0.1:{system.sms.env['SMS_PORT']}")
    for api in (worker, Api(session, system.url)):
        reply = await api.call("OPTIONS", URL)
        assert (reply.status, reply.headers["Allow"]) == (204, "POST, OPTIONS")
        assert "Date" in reply.headers
    assert_problem(await worker.call("OPTIONS", "/callbacks/yunpian/wrong/"), 404, "not-found")
