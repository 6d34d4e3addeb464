"""Requesting a code, and the state of its message."""

import base64
import json
from datetime import timedelta

import pytest
from altcha import Challenge, Payload, solve_challenge
from redis.asyncio import Redis

from services.auth.errors import ChallengeRequired, SmsUnavailable
from services.auth.models import Client, CodeRequested
from shared.contracts.message_status import MessageStatus, record_key
from shared.errors import NotFound, Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.client import new_mobile
from tests.support.clock import NOW, clock
from tests.support.codes import CodeHarness, issue, make_codes

CLIENT = Client("192.0.2.1", "test")


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    return make_codes(redis, auth_metrics, clock=clock)


@pytest.fixture
def mobile() -> str:
    return new_mobile()


async def request(codes: CodeHarness, mobile: str, challenge: str | None = None) -> CodeRequested:
    return await codes.service.request(mobile, "login", CLIENT, challenge=challenge)


async def test_a_code_is_published_with_its_expiry(codes: CodeHarness, mobile: str) -> None:
    requested = await request(codes, mobile)
    (message,) = codes.publisher.messages
    assert (message.mobile, message.purpose, message.channel) == (mobile, "login", "sms")
    assert (len(message.code), message.code.isdecimal()) == (6, True)
    assert message.expires_at - message.created_at == timedelta(seconds=600)
    assert requested == CodeRequested(message.message_id, 600, 60)


async def test_the_published_code_is_the_one_that_opens(codes: CodeHarness, mobile: str) -> None:
    await request(codes, mobile)
    async with codes.service.redeem(mobile, "login", codes.publisher.messages[0].code, CLIENT.ip):
        pass


async def test_the_message_is_queued_before_it_is_published(codes: CodeHarness, mobile: str) -> None:
    requested = await request(codes, mobile)
    assert await codes.service.status(requested.message_id) == MessageStatus("queued", NOW)


async def test_a_message_that_was_not_published_has_failed_and_takes_no_cooldown(
    codes: CodeHarness, mobile: str, redis: Redis
) -> None:
    before = {key async for key in redis.scan_iter(record_key("*"))}
    codes.publisher.down = True
    with pytest.raises(SmsUnavailable):
        await request(codes, mobile)
    [record] = {key async for key in redis.scan_iter(record_key("*"))} - before
    assert await redis.hget(record, "state") == b"failed"
    codes.publisher.down = False
    await request(codes, mobile)


def needs_challenges(redis: Redis, metrics: AuthMetrics) -> CodeHarness:
    return make_codes(redis, metrics, quotas={"code_challenge_address": "0/hour"})


def solve(challenge: object) -> str:
    parsed = Challenge.from_dict(json.loads(json.dumps(challenge)))
    solution = solve_challenge(parsed)
    assert solution is not None
    return base64.b64encode(json.dumps(Payload(parsed, solution).to_dict()).encode()).decode()


@pytest.mark.parametrize("answer", [None, "nonsense", "another number's"])
async def test_a_risky_request_gets_a_challenge_and_no_code(
    redis: Redis, auth_metrics: AuthMetrics, mobile: str, answer: str | None
) -> None:
    codes = needs_challenges(redis, auth_metrics)
    if answer == "another number's":
        answer = solve(codes.challenges.make(new_mobile()))
    with pytest.raises(ChallengeRequired) as refusal:
        await request(codes, mobile, answer)
    challenge = refusal.value.members["challenge"]
    assert isinstance(challenge, dict)
    assert {"parameters", "signature"} <= set(challenge)
    assert codes.publisher.messages == []


async def test_a_risky_request_gets_its_code_with_the_challenge_solved(
    redis: Redis, auth_metrics: AuthMetrics, mobile: str
) -> None:
    codes = needs_challenges(redis, auth_metrics)
    with pytest.raises(ChallengeRequired) as refusal:
        await request(codes, mobile)
    await request(codes, mobile, solve(refusal.value.members["challenge"]))
    assert [message.mobile for message in codes.publisher.messages] == [mobile]


async def test_an_unknown_message_is_not_found(codes: CodeHarness) -> None:
    with pytest.raises(NotFound):
        await codes.service.status("0" * 32)


async def test_two_requests_have_two_message_ids(codes: CodeHarness) -> None:
    assert len({(await request(codes, new_mobile())).message_id for _ in range(2)}) == 2


async def test_without_redis_nothing_is_decided(auth_metrics: AuthMetrics, mobile: str) -> None:
    nobody = redis_client.connect("redis://127.0.0.1:1/0")
    codes = make_codes(nobody, auth_metrics)
    with pytest.raises(Unavailable):
        await request(codes, mobile)
    with pytest.raises(Unavailable):
        await issue(codes, mobile)
    with pytest.raises(Unavailable):
        await codes.service.status("0" * 32)
    assert codes.publisher.messages == []
    await nobody.aclose()
