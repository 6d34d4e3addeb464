"""The use of a code is a lease: a Redis that hangs burns no code, and no code is used twice."""

import asyncio
import secrets
from collections import Counter

import pytest
from redis.asyncio import Redis

from services.auth.codes.leases import CodeInUse
from services.auth.errors import InvalidCode
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.client import new_mobile
from tests.support.codes import ADDRESS, UNLIMITED, CodeHarness, issue, make_codes
from tests.support.proxies import TcpProxy


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    return make_codes(redis, auth_metrics, quotas=UNLIMITED)


async def use(codes: CodeHarness, mobile: str, code: str) -> None:
    async with codes.service.redeem(mobile, "register", code, ADDRESS):
        pass


async def lease(codes: CodeHarness, mobile: str, code: str, attempt: str = "a1") -> str | None:
    return await codes.repository.redeem(mobile, "register", code, address=ADDRESS, attempt=attempt)


async def age_leases(redis: Redis) -> None:
    async for key in redis.scan_iter("code:*:register"):
        if (until := await redis.hget(key, "leased_until")) is not None:
            await redis.hset(key, "leased_until", str(int(until) - 10_000))


async def test_after_a_hang_during_12_uses_all_codes_work_and_no_try_is_lost(
    redis_proxy: TcpProxy, auth_metrics: AuthMetrics
) -> None:
    redis = redis_client.connect(redis_proxy.url_through)
    codes = make_codes(redis, auth_metrics, quotas=UNLIMITED)
    numbers = {mobile: await issue(codes, mobile) for mobile in (new_mobile() for _ in range(12))}
    redis_proxy.hold("up")
    uses = [use(codes, mobile, code) for mobile, code in numbers.items()]
    failed = await asyncio.gather(*uses, return_exceptions=True)
    assert {type(failure) for failure in failed} == {Unavailable}
    redis_proxy.release()  # what was sent arrives now
    for mobile, code in numbers.items():
        await use(codes, mobile, code)
    for mobile, code in numbers.items():
        with pytest.raises(InvalidCode):
            await use(codes, mobile, code)
    await codes.service.close()
    await redis.aclose()


async def test_a_hang_after_the_lease_leaves_the_code_to_a_later_attempt(
    redis_proxy: TcpProxy, auth_metrics: AuthMetrics
) -> None:
    redis = redis_client.connect(redis_proxy.url_through)
    codes = make_codes(redis, auth_metrics, quotas=UNLIMITED)
    mobile = new_mobile()
    code = await issue(codes, mobile)

    async def fail() -> None:
        async with codes.service.redeem(mobile, "register", code, ADDRESS):
            redis_proxy.hold("up")
            raise Unavailable

    with pytest.raises(Unavailable):
        await fail()
    redis_proxy.release()
    await use(codes, mobile, code)
    await redis.aclose()


async def test_a_confirmation_reaches_redis_after_its_hang(
    redis_proxy: TcpProxy, auth_metrics: AuthMetrics
) -> None:
    redis = redis_client.connect(redis_proxy.url_through)
    codes = make_codes(redis, auth_metrics, quotas=UNLIMITED)
    mobile = new_mobile()
    code = await issue(codes, mobile)
    async with codes.service.redeem(mobile, "register", code, ADDRESS):
        redis_proxy.hold("up")
    redis_proxy.release()
    await codes.service.close()
    await age_leases(redis)
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)
    await redis.aclose()


async def test_a_lease_runs_out_and_counts_no_try(codes: CodeHarness, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    assert await lease(codes, mobile, code) is None
    for number in range(10):
        with pytest.raises(CodeInUse):
            await lease(codes, mobile, code, f"b{number}")
    await age_leases(redis)
    assert await lease(codes, mobile, code, "c") is None
    await codes.repository.confirm(mobile, "register", "a1", "")  # the first one is too late
    await codes.repository.restore(mobile, "register", "c")
    await use(codes, mobile, code)


async def test_of_many_attempts_after_a_lease_one_gets_it(codes: CodeHarness, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    await lease(codes, mobile, code)
    await age_leases(redis)
    attempts = [lease(codes, mobile, code, secrets.token_hex(8)) for _ in range(50)]
    outcomes = Counter(type(outcome) for outcome in await asyncio.gather(*attempts, return_exceptions=True))
    assert outcomes == {type(None): 1, CodeInUse: 49}


async def test_an_attempt_that_was_given_up_does_nothing_when_it_arrives(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    await codes.repository.restore(mobile, "register", "a1")
    with pytest.raises(InvalidCode):
        await lease(codes, mobile, code, "a1")
    await use(codes, mobile, code)


async def test_a_script_that_runs_twice_leases_once(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    assert [await lease(codes, mobile, code, "a1") for _ in range(2)] == [None, None]
    for _ in range(2):
        await codes.repository.confirm(mobile, "register", "a1", "")
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)


async def test_a_use_of_the_version_before_is_for_good(codes: CodeHarness, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    for key in [key async for key in redis.scan_iter("code:*:register")]:
        await redis.hset(key, "used_by", "of the version before")
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)


async def test_a_code_whose_lease_ran_out_is_sent_again(codes: CodeHarness, redis: Redis) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    await lease(codes, mobile, code)
    await age_leases(redis)
    await codes.repository.release_cooldown(mobile, "r1")
    assert await issue(codes, mobile, "register", "r2") == code
    await use(codes, mobile, code)


async def test_wrong_codes_count_while_another_attempt_has_the_lease(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile)
    await lease(codes, mobile, code)
    for number in range(5):
        with pytest.raises(InvalidCode):
            await lease(codes, mobile, f"{(int(code) + 1) % 10**6:06d}", f"w{number}")
    await codes.repository.restore(mobile, "register", "a1")
    with pytest.raises(InvalidCode):
        await use(codes, mobile, code)
