"""The codes in Redis: issued, redeemed, restored."""

import asyncio
from typing import cast

import pytest
from redis.asyncio import Redis

from services.auth.codes.generator import CodeGenerator
from services.auth.errors import AlreadyRegistered, InvalidCode, TooManyCodes
from services.auth.keyed_hash import KeyedHash
from shared.contracts.messages import Purpose
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import ADDRESS, CodeHarness, issue, make_codes
from tests.support.system import CODE_SECRET


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    return make_codes(redis, auth_metrics)


async def use(codes: CodeHarness, mobile: str, code: str, purpose: Purpose = "register") -> bool:
    """Try a code and return whether it was right."""
    try:
        async with codes.service.redeem(mobile, purpose, code, ADDRESS):
            return True
    except InvalidCode:
        return False


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_a_code_works_once(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    assert [await use(codes, mobile, code) for _ in range(3)] == [True, False, False]


async def test_of_100_concurrent_uses_one_wins(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    wins = await asyncio.gather(*(use(codes, mobile, code) for _ in range(100)))
    assert sum(wins) == 1


async def test_after_5_wrong_tries_the_right_code_is_dead(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    for _ in range(5):
        assert not await use(codes, mobile, wrong(code))
    assert not await use(codes, mobile, code)


async def test_after_4_wrong_tries_the_right_code_still_works(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    for _ in range(4):
        await use(codes, mobile, wrong(code))
    assert await use(codes, mobile, code)


async def test_concurrent_wrong_tries_are_all_counted(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    await asyncio.gather(*(use(codes, mobile, wrong(code)) for _ in range(5)))
    assert not await use(codes, mobile, code)


async def test_a_code_of_another_purpose_does_not_work(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    assert not await use(codes, mobile, code, "login")
    assert await use(codes, mobile, code, "register")


async def test_a_code_of_another_number_does_not_work(codes: CodeHarness) -> None:
    one, other = new_mobile(), new_mobile()
    code = await issue(codes, one, "register", "r1")
    if code == await issue(codes, other, "register", "r2"):
        pytest.skip("one in a million: both numbers got the same code")
    assert not await use(codes, other, code)


@pytest.mark.parametrize("code", ["", "0", "1" * 60_000, "１２３４５６", "12 34 56"])
def test_text_that_is_no_code_is_a_wrong_code(code: str) -> None:
    generator = CodeGenerator(KeyedHash(CODE_SECRET), 6)
    right = generator.proof("13800000000", "register", "123456")
    assert generator.proof("13800000000", "register", code) != right


async def test_inside_the_cooldown_there_is_no_other_code(codes: CodeHarness) -> None:
    mobile = new_mobile()
    await issue(codes, mobile, "register", "r1")
    with pytest.raises(TooManyCodes) as refusal:
        await issue(codes, mobile, "login", "r2")
    assert refusal.value.retry_after in range(55, 61)


async def test_of_50_concurrent_requests_one_gets_a_code(codes: CodeHarness) -> None:
    mobile = new_mobile()
    results = await asyncio.gather(
        *(issue(codes, mobile, "register", f"r{n}") for n in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, TooManyCodes) for result in results) == 49


async def test_a_repeated_script_finds_what_it_did_before(codes: CodeHarness) -> None:
    mobile = new_mobile()
    first = await issue(codes, mobile, "register", "r1")
    assert await issue(codes, mobile, "register", "r1") == first


async def test_a_released_cooldown_is_free_again(codes: CodeHarness) -> None:
    mobile = new_mobile()
    first = await issue(codes, mobile, "register", "r1")
    await codes.repository.release_cooldown(mobile, "r1")
    assert await issue(codes, mobile, "register", "r2") == first


async def test_a_request_cannot_release_the_cooldown_of_another(codes: CodeHarness) -> None:
    mobile = new_mobile()
    await issue(codes, mobile, "register", "r1")
    await codes.repository.release_cooldown(mobile, "r0")
    with pytest.raises(TooManyCodes):
        await issue(codes, mobile, "register", "r2")


async def test_a_resend_is_the_same_code_and_keeps_its_wrong_tries(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    codes = make_codes(redis, auth_metrics)
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    for _ in range(3):
        await use(codes, mobile, wrong(code))
    await codes.repository.release_cooldown(mobile, "r1")
    assert await issue(codes, mobile, "register", "r2") == code
    for _ in range(2):
        await use(codes, mobile, wrong(code))
    assert not await use(codes, mobile, code)


async def test_after_its_use_a_new_code_is_made(codes: CodeHarness) -> None:
    mobile = new_mobile()
    codes_seen = set()
    for number in range(3):
        code = await issue(codes, mobile, "register", f"r{number}")
        codes_seen.add(code)
        assert await use(codes, mobile, code)
        await codes.repository.release_cooldown(mobile, f"r{number}")
    assert len(codes_seen) > 1


async def test_a_code_expires(redis: Redis, auth_metrics: AuthMetrics) -> None:
    codes = make_codes(redis, auth_metrics, ttl=1)
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    await asyncio.sleep(1.1)
    assert not await use(codes, mobile, code)


async def test_a_failure_that_is_not_the_users_leaves_the_code_valid(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    with pytest.raises(Unavailable):
        async with codes.service.redeem(mobile, "register", code, ADDRESS):
            raise Unavailable
    assert await use(codes, mobile, code)


async def test_an_answer_that_the_code_led_to_uses_it_up(codes: CodeHarness) -> None:
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    with pytest.raises(AlreadyRegistered):
        async with codes.service.redeem(mobile, "register", code, ADDRESS):
            raise AlreadyRegistered
    assert not await use(codes, mobile, code)


async def test_redis_holds_neither_code_nor_number(redis: Redis, auth_metrics: AuthMetrics) -> None:
    codes = make_codes(redis, auth_metrics)
    mobile = new_mobile()
    code = await issue(codes, mobile, "register", "r1")
    stored = [key async for key in redis.scan_iter("code:*")]
    dump = b"".join(stored + [value for key in stored for value in await contents(redis, key)])
    assert mobile.encode() not in dump
    assert code.encode() not in dump


async def contents(redis: Redis, key: bytes) -> list[bytes]:
    return [cast("bytes", await redis.dump(key))]
