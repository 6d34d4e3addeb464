"""Calls that would not be made are refused at the request, before anything is taken."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from services.auth.codes.voice import VoicePolicy
from services.auth.errors import VoiceUnavailable
from services.auth.models import CodeRequested
from shared.http import problems
from shared.i18n import Language
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, AuthHarness

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
