"""Guessing at the codes of many numbers, and what the right code opens, on a real Redis."""

import asyncio
import secrets
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.errors import InvalidCode, TooManyAttempts, WrongCredentials
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.sign_in.throttle import SignInLimits, SignInThrottle
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import CodeHarness, issue, make_codes

HOME, ELSEWHERE, NEIGHBOUR = "192.0.2.1", "198.51.100.1", "192.0.2.2"
WRONG = "not a code"
QUOTAS = {
    "code_wrong_address": "5/hour",
    "code_wrong_network": "8/hour",
    "code_challenge_prefix": "1000/hour",
}


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    """Codes of which an address may get 5 wrong, and its network 8."""
    return make_codes(redis, auth_metrics, quotas=QUOTAS)


async def use(codes: CodeHarness, mobile: str, code: str = WRONG, address: str = HOME) -> str:
    try:
        async with codes.service.redeem(mobile, "register", code, address):
            return "right"
    except (InvalidCode, TooManyAttempts) as error:
        return type(error).__name__


async def test_of_50_parallel_guesses_at_many_numbers_only_the_limit_is_checked(
    codes: CodeHarness, registry: CollectorRegistry
) -> None:
    seen = Counter(await asyncio.gather(*(use(codes, new_mobile()) for _ in range(50))))
    assert seen == {"InvalidCode": 5, "TooManyAttempts": 45}
    labels = {"kind": "code", "subject": "address"}
    assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == 45


async def test_a_network_is_counted_beyond_its_addresses(codes: CodeHarness) -> None:
    for address in [HOME] * 5 + [NEIGHBOUR] * 3:
        assert await use(codes, new_mobile(), address=address) == "InvalidCode"
    assert await use(codes, new_mobile(), address=NEIGHBOUR) == "TooManyAttempts"
    assert await use(codes, new_mobile(), address=ELSEWHERE) == "InvalidCode"


async def test_a_throttled_code_is_no_try_and_says_when_to_retry(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, address=ELSEWHERE)
    for _ in range(5):
        await use(codes, new_mobile())
    for attempt in [WRONG] * 6 + [code]:
        with pytest.raises(TooManyAttempts) as refusal:
            async with codes.service.redeem(mobile, "register", attempt, HOME):
                pass
        assert (refusal.value.retry_after or 0) in range(3000, 3601)
    assert await use(codes, mobile, code, ELSEWHERE) == "right"


async def test_right_codes_are_not_counted(codes: CodeHarness) -> None:
    for _ in range(10):
        mobile = new_mobile()
        assert await use(codes, mobile, await issue(codes, mobile, address=mobile)) == "right"


async def test_the_account_trusts_the_address_of_a_right_code(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    keyed_hash = KeyedHash(secrets.token_hex(32))
    codes = make_codes(redis, auth_metrics, keyed_hash=keyed_hash)
    few = Limit(1, 3_600_000)
    throttle = SignInThrottle(redis, keyed_hash, SignInLimits(few, few, few), auth_metrics)

    async def fail(address: str) -> None:
        with pytest.raises(WrongCredentials):
            async with throttle.attempt(mobile, address):
                raise WrongCredentials

    mobile = new_mobile()
    assert await use(codes, mobile, await issue(codes, mobile)) == "right"
    for _ in range(2):
        await fail(ELSEWHERE)
    with pytest.raises(TooManyAttempts):
        await fail(ELSEWHERE)
    async with throttle.attempt(mobile, HOME):
        pass


@pytest.mark.parametrize("others", [HOME, NEIGHBOUR])
async def test_wrong_codes_of_others_behind_an_address_do_not_stop_the_owner_of_a_code(
    codes: CodeHarness, others: str
) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, address=HOME)
    for address in [others] * 9 + [NEIGHBOUR] * 9:
        await use(codes, new_mobile(), address=address)
    assert await use(codes, new_mobile(), address=others) == "TooManyAttempts"
    assert await use(codes, mobile, code, HOME) == "right"


async def test_whoever_asked_for_a_code_guesses_at_it_five_times_and_at_no_other_code(
    codes: CodeHarness,
) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, address=HOME)
    for _ in range(5):
        await use(codes, new_mobile())
    assert [await use(codes, mobile) for _ in range(5)] == ["InvalidCode"] * 5
    assert await use(codes, mobile, code) == "TooManyAttempts"
    assert await use(codes, new_mobile()) == "TooManyAttempts"
