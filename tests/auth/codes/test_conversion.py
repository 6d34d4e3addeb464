"""The share of the codes of a prefix that get used."""

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.errors import ChallengeNeeded, InvalidCode, TooManyCodes
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import ADDRESS, CodeHarness, issue, make_codes


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    """Codes of which half have to be used, after the first four to neighbouring numbers."""
    quotas = {
        "code_challenge_conversion": "0.5",
        "code_challenge_volume": "4",
        "code_challenge_address": "1000/day",
        "code_challenge_network": "1000/day",
    }
    return make_codes(redis, auth_metrics, quotas=quotas)


async def use(codes: CodeHarness, mobile: str, code: str) -> None:
    async with codes.service.redeem(mobile, "register", code, ADDRESS):
        pass


async def test_numbers_whose_codes_nobody_uses_need_a_challenge(codes: CodeHarness) -> None:
    for number in range(4):
        await issue(codes, f"1391111000{number}")
    with pytest.raises(ChallengeNeeded):
        await issue(codes, "13911110005")
    await issue(codes, "13911120005")


async def test_numbers_whose_codes_get_used_need_none(codes: CodeHarness) -> None:
    for number in range(8):
        code = await issue(codes, f"1391111000{number}")
        if number % 2 == 0:
            await use(codes, f"1391111000{number}", code)
    await issue(codes, "13911110009")


async def test_a_restored_code_counts_as_used_once(codes: CodeHarness, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    with pytest.raises(Unavailable):
        async with codes.service.redeem(mobile, "register", code, ADDRESS):
            raise Unavailable
    await use(codes, mobile, code)
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)
    counted = [await redis.hgetall(key) async for key in redis.scan_iter("code:budget:conversion:*")]
    assert {b"requested": b"1", b"verified": b"1"} in counted


async def test_refusals_and_conversion_are_counted_by_closed_labels(
    redis: Redis, auth_metrics: AuthMetrics, registry: CollectorRegistry
) -> None:
    codes = make_codes(redis, auth_metrics, quotas={"code_challenge_address": "1/day"})
    code = await issue(codes, "13912340000")
    await use(codes, "13912340000", code)
    with pytest.raises(TooManyCodes):
        await issue(codes, "13912340000")
    with pytest.raises(ChallengeNeeded):
        await issue(codes, "13912340001")
    for quota in ("cooldown", "address"):
        assert registry.get_sample_value("dialpass_code_refusals_total", {"budget": quota}) == 1
    for outcome in ("requested", "verified"):
        labels = {"dial_code": "86", "prefix": "139", "outcome": outcome}
        assert registry.get_sample_value("dialpass_code_conversion_total", labels) == 1
