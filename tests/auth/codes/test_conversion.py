"""How many codes to neighbouring numbers get used, on a real Redis."""

import pytest
from redis.asyncio import Redis

from services.auth.codes.repository import RedisCodes
from services.auth.errors import InvalidCode, Suspicious, TooManyCodes
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import ADDRESS, issue, make_codes


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> RedisCodes:
    """Codes of which half have to be used, after the first four to neighbouring numbers."""
    budgets = {
        "code_challenge_conversion": "0.5",
        "code_challenge_volume": "4",
        "code_challenge_address": "1000/day",
        "code_challenge_network": "1000/day",
    }
    return make_codes(redis, auth_metrics, budgets=budgets)


async def use(codes: RedisCodes, mobile: str, code: str) -> None:
    async with codes.consuming(mobile, "register", code, ADDRESS):
        pass


async def test_numbers_whose_codes_nobody_uses_need_a_challenge(codes: RedisCodes) -> None:
    for number in range(4):
        await issue(codes, f"1391111000{number}")
    with pytest.raises(Suspicious):
        await issue(codes, "13911110005")
    await issue(codes, "13911120005")


async def test_numbers_whose_codes_get_used_need_none(codes: RedisCodes) -> None:
    for number in range(8):
        code = await issue(codes, f"1391111000{number}")
        if number % 2 == 0:
            await use(codes, f"1391111000{number}", code)
    await issue(codes, "13911110009")


async def test_a_code_that_was_given_back_counts_as_used_once(codes: RedisCodes, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    with pytest.raises(Unavailable):
        async with codes.consuming(mobile, "register", code, ADDRESS):
            raise Unavailable
    await use(codes, mobile, code)
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)
    counted = [await redis.hgetall(key) async for key in redis.scan_iter("code:budget:conversion:*")]
    assert {b"requested": b"1", b"verified": b"1"} in counted


async def test_refusals_and_conversion_are_counted_by_closed_labels(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    codes = make_codes(redis, auth_metrics, budgets={"code_challenge_address": "1/day"})
    code = await issue(codes, "13912340000")
    await use(codes, "13912340000", code)
    with pytest.raises(TooManyCodes):
        await issue(codes, "13912340000")
    with pytest.raises(Suspicious):
        await issue(codes, "13912340001")
    value = auth_metrics.code_refusals.labels
    assert [value(budget)._value.get() for budget in ("cooldown", "address", "spend")] == [1, 1, 0]
    value = auth_metrics.conversion.labels
    assert [value("86", "139", what)._value.get() for what in ("requested", "verified")] == [1, 1]
