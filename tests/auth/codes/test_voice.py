"""Calls that would not be made are refused at the request, before anything is taken."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import aiohttp
import pytest
from tornado.web import Application

from deploy.local.ports import LOOPBACK, free_port
from services.auth.codes.endpoints import CodeHandler
from services.auth.codes.voice import VoicePolicy
from services.auth.errors import VoiceUnavailable
from services.auth.http.fields import ValidationContext
from services.auth.http.handler import HttpContext
from services.auth.models import Caller, CodeRequested
from shared.http import problems
from shared.http.server import DrainableServer
from shared.i18n import Language
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, new_registry
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, AuthHarness
from tests.support.client import Api

CHINA = timezone(timedelta(hours=8))
MOBILE, FOREIGN = "13800000000", "+447400123456"


async def call(auth: AuthHarness, mobile: str | None = None) -> CodeRequested:
    return await auth.services.codes.request(mobile or auth.mobile, "login", CLIENT, channel="voice")


def set_clock(auth: AuthHarness, hour: int, minute: int = 0) -> None:
    auth.now = auth.now.astimezone(CHINA).replace(hour=hour, minute=minute, second=0).astimezone(UTC)


@pytest.mark.parametrize(("hour", "minute", "seconds"), [(22, 0, 34_200), (2, 0, 19_800), (7, 29, 60)])
async def test_at_night_a_call_is_refused_with_the_time_until_it_is_possible(
    auth: AuthHarness, hour: int, minute: int, seconds: int
) -> None:
    set_clock(auth, hour, minute)
    with pytest.raises(VoiceUnavailable) as refused:
        await call(auth)
    assert (refused.value.status, refused.value.retry_after) == (400, seconds)
    assert set(refused.value.fields) == {"channel"}
    assert auth.publisher.messages == []


async def test_a_refused_call_takes_no_cooldown_and_texts_are_sent_at_night(auth: AuthHarness) -> None:
    set_clock(auth, 23)
    with pytest.raises(VoiceUnavailable):
        await call(auth)
    await auth.services.codes.request(auth.mobile, "login", CLIENT)
    assert [message.channel for message in auth.publisher.messages] == ["sms"]


async def test_a_call_right_before_the_night_would_come_too_late(auth: AuthHarness) -> None:
    set_clock(auth, 21, 59)
    auth.wait(seconds=45)
    with pytest.raises(VoiceUnavailable) as refused:
        await call(auth)
    assert refused.value.retry_after == 34_215


@pytest.mark.parametrize(("hour", "minute"), [(7, 30), (21, 59)])
async def test_by_day_a_call_is_made(auth: AuthHarness, hour: int, minute: int) -> None:
    set_clock(auth, hour, minute)
    await call(auth)
    assert [message.channel for message in auth.publisher.messages] == ["voice"]


async def test_a_foreign_number_is_called_at_night(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"sms_regions": ("CN", "GB")})
    set_clock(auth, 3)
    await call(auth, FOREIGN)
    assert [message.mobile for message in auth.publisher.messages] == [FOREIGN]


async def test_the_hours_are_a_setting(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"voice_hours": "09:00-12:00"})
    set_clock(auth, 13)
    with pytest.raises(VoiceUnavailable) as refused:
        await call(auth)
    assert refused.value.retry_after == 20 * 3600


@pytest.mark.parametrize("digits", [7, 8])
async def test_a_code_that_is_too_long_to_be_read_out_is_refused_at_any_hour(
    make_auth: MakeAuth, digits: int
) -> None:
    auth = make_auth(settings={"code_length": digits})
    set_clock(auth, 12)
    for mobile in (None, FOREIGN):
        with pytest.raises(VoiceUnavailable) as refused:
            await call(auth, mobile)
        assert refused.value.retry_after is None
        assert set(refused.value.fields) == {"channel"}
    await auth.services.codes.request(auth.mobile, "login", CLIENT)
    assert [len(message.code) for message in auth.publisher.messages] == [digits]


@pytest.fixture
async def api(auth: AuthHarness, session: aiohttp.ClientSession) -> AsyncIterator[Api]:
    """`POST /code/` over HTTP."""
    context = HttpContext(
        no_caller,
        no_charge,
        ValidationContext(("CN",), frozenset()),
        AccessLog("auth", "json"),
        HttpMetrics(new_registry()),
    )
    options = {"context": context, "route": "/code/", "service": auth.services.codes}
    server = DrainableServer(Application([("/code/", CodeHandler, options)]), free_port())
    yield Api(session, f"http://{LOOPBACK}:{server.port}")
    await server.close()


async def no_charge(caller: Caller) -> None:
    raise NotImplementedError


async def no_caller(_token: str | None) -> Caller:
    raise AssertionError


@pytest.mark.parametrize(("language", "hint"), [("en", "a text message"), ("zh-CN", "短信验证码")])
async def test_a_client_reads_what_is_possible_instead(
    auth: AuthHarness, api: Api, language: str, hint: str
) -> None:
    set_clock(auth, 22)
    body = {"mobile": auth.mobile, "channel": "voice"}
    reply = await api.post("/code/", body, headers={"Accept-Language": language})
    assert (reply.status, reply["type"]) == (400, "/problems/voice-unavailable")
    assert hint in reply["channel"][0]
    assert reply.headers["Retry-After"] == str(reply["retry_after"]) == "34200"
    assert (await api.post("/code/", {**body, "channel": "sms"})).status == 200
    both = await api.post("/code/", {"mobile": "12", "channel": "fax"})
    assert {"mobile", "channel"} <= set(both.body)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "07:30-22:00 China time"), ("zh", "北京时间 07:30-22:00")]
)
def test_the_answer_says_when_in_both_languages(language: Language, said: str) -> None:
    night = datetime(2026, 3, 1, 23, tzinfo=CHINA)
    with pytest.raises(VoiceUnavailable) as refused:
        VoicePolicy.parse("07:30-22:00", 6).check(MOBILE, night)
    headers, body = problems.render(refused.value, "r1", language)
    document: dict[str, Any] = json.loads(body)
    assert (document["type"], document["status"]) == ("/problems/voice-unavailable", 400)
    assert said in document["channel"][0]
    assert headers["Retry-After"] == str(document["retry_after"]) == "30600"
