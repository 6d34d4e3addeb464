"""The quotas that codes are charged to."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from services.auth.errors import TooManyCodes
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import CodeHarness, issue, make_codes, outcome

MakeCodes = Callable[..., CodeHarness]
NEVER = "0"


@pytest.fixture
def make(redis: Redis, auth_metrics: AuthMetrics) -> MakeCodes:
    """Make codes with a cooldown that is over at once, and no rule but those of the test."""

    def make(**quotas: str) -> CodeHarness:
        lax = {
            "code_limit_number": "1000/day",
            "code_challenge_address": "1000/day",
            "code_challenge_network": "1000/day",
            "code_challenge_prefix": "1000/day",
            "code_challenge_global": "1000/day",
            "code_challenge_conversion": NEVER,
        }
        return make_codes(redis, auth_metrics, quotas=lax | quotas)

    return make


def name_a_challenge() -> str:
    return secrets.token_hex(32)


async def outcomes(*attempts: Awaitable[str]) -> Counter[str]:
    return Counter(await asyncio.gather(*map(outcome, attempts)))


async def ask_again(codes: CodeHarness, mobile: str, address: str = "192.0.2.1") -> str:
    """Ask as one does after the cooldown."""
    code = await issue(codes, mobile, request="r", address=address)
    await codes.repository.release_cooldown(mobile, "r")
    return code


async def test_a_number_gets_so_many_codes_in_its_windows(make: MakeCodes) -> None:
    codes, mobile = make(code_limit_number="3/hour,5/day"), new_mobile()
    for _ in range(3):
        await ask_again(codes, mobile)
    with pytest.raises(TooManyCodes) as refusal:
        await ask_again(codes, mobile)
    assert refusal.value.retry_after == 3600
    assert await outcome(ask_again(codes, new_mobile())) == "code"


@pytest.mark.parametrize(
    "budget",
    [{"code_limit_number": "0/day"}, {"code_limit_dial_code": "*=0/day"}, {"code_limit_spend": "0"}],
    ids=lambda budget: next(iter(budget)),
)
async def test_every_used_up_budget_refuses_in_the_same_words(
    make: MakeCodes, budget: dict[str, str]
) -> None:
    with pytest.raises(TooManyCodes) as refusal:
        await issue(make(**budget), new_mobile())
    assert (refusal.value.retry_after, refusal.value.fields) == (3600, {})


async def test_the_window_moves_with_time(make: MakeCodes) -> None:
    codes, mobile = make(code_limit_number="2/second,3/day"), new_mobile()
    for _ in range(2):
        await ask_again(codes, mobile)
    assert await outcome(ask_again(codes, mobile)) == "TooManyCodes"
    await asyncio.sleep(1.1)
    assert await outcome(ask_again(codes, mobile)) == "code"
    await asyncio.sleep(1.1)
    assert await outcome(ask_again(codes, mobile)) == "TooManyCodes"


async def test_a_released_cooldown_stays_charged(make: MakeCodes) -> None:
    codes, mobile = make(code_limit_number="1/hour"), new_mobile()
    await ask_again(codes, mobile)
    assert await outcome(ask_again(codes, mobile)) == "TooManyCodes"


async def test_what_is_refused_charges_nothing(make: MakeCodes) -> None:
    codes = make(code_limit_number="1/hour", code_challenge_address="2/hour")
    mobile = new_mobile()
    await ask_again(codes, mobile)
    for _ in range(5):
        assert await outcome(ask_again(codes, mobile)) == "TooManyCodes"
    assert await outcome(issue(codes, new_mobile())) == "code"
    assert await outcome(issue(codes, new_mobile())) == "ChallengeNeeded"


async def test_a_repeated_script_charges_once(make: MakeCodes) -> None:
    codes, mobile = make(code_limit_number="2/hour"), new_mobile()
    first = await issue(codes, mobile, request="r1")
    assert await issue(codes, mobile, request="r1") == first
    await codes.repository.release_cooldown(mobile, "r1")
    assert await outcome(issue(codes, mobile)) == "code"


@pytest.mark.parametrize(
    "budget",
    [
        {"code_limit_dial_code": "86=10/day,*=0/day"},
        {"code_limit_spend": "0.5", "code_price": "*=0.05"},
    ],
    ids=["dial code", "spend"],
)
async def test_of_50_concurrent_requests_as_many_get_a_code_as_the_budget_has(
    make: MakeCodes, budget: dict[str, str]
) -> None:
    codes = make(**budget)
    seen = await outcomes(*(issue(codes, new_mobile(), address=f"192.0.{n}.1") for n in range(50)))
    assert seen == {"code": 10, "TooManyCodes": 40}


@pytest.mark.parametrize("name", ["address", "network", "prefix", "global"])
async def test_of_50_concurrent_requests_those_beyond_a_soft_budget_need_a_challenge(
    make: MakeCodes, name: str
) -> None:
    codes = make(**{f"code_challenge_{name}": "10/hour"})
    numbers = [f"1391234{n:04d}" for n in range(51)]
    assert await outcomes(*(issue(codes, number) for number in numbers[:50])) == {
        "code": 10,
        "ChallengeNeeded": 40,
    }
    assert await outcome(issue(codes, numbers[50], solved=name_a_challenge())) == "code"


@pytest.mark.parametrize(
    ("budget", "mobile", "address"),
    [
        ("address", "13912350000", "192.0.2.2"),
        ("network", "13912350000", "192.0.3.1"),
        ("prefix", "13912350000", "192.0.2.1"),
    ],
)
async def test_a_soft_budget_is_that_of_its_subject(
    make: MakeCodes, budget: str, mobile: str, address: str
) -> None:
    codes = make(**{f"code_challenge_{budget}": "1/hour"})
    await issue(codes, "13912340000", address="192.0.2.1")
    assert await outcome(issue(codes, "13912340001", address="192.0.2.1")) == "ChallengeNeeded"
    assert await outcome(issue(codes, mobile, address=address)) == "code"


async def test_a_dial_code_has_a_budget_and_a_price_of_its_own(make: MakeCodes) -> None:
    codes = make(code_limit_dial_code="86=1/day,*=2/day", code_limit_spend="1", code_price="86=0.1,*=0.4")
    assert await outcome(issue(codes, "13912340000")) == "code"
    assert await outcome(issue(codes, "13912340001")) == "TooManyCodes"
    assert await outcome(issue(codes, "+14155552671")) == "code"
    assert await outcome(issue(codes, "+447400123456")) == "code"
    assert await outcome(issue(codes, "+33612345678")) == "TooManyCodes"  # 0.9 of 1 are spent


async def test_of_50_concurrent_uses_of_a_solution_one_counts(make: MakeCodes) -> None:
    codes, challenge = make(code_challenge_global="0/day"), name_a_challenge()
    seen = await outcomes(*(issue(codes, new_mobile(), solved=challenge) for _ in range(50)))
    assert seen == {"code": 1, "ChallengeNeeded": 49}


async def test_a_solution_that_was_not_needed_is_not_used_up(make: MakeCodes) -> None:
    codes, mobile = make(code_challenge_address="1/day"), new_mobile()
    challenge = name_a_challenge()
    await issue(codes, mobile, request="r1", solved=challenge)
    await codes.repository.release_cooldown(mobile, "r1")
    assert await outcome(issue(codes, mobile, solved=challenge)) == "code"


async def test_a_solution_does_not_help_against_what_refuses(make: MakeCodes) -> None:
    codes, mobile = make(code_challenge_global="0/day", code_limit_number="1/day"), new_mobile()
    await issue(codes, mobile, request="r1", solved=name_a_challenge())
    assert await outcome(issue(codes, mobile, solved=name_a_challenge())) == "TooManyCodes"
    await codes.repository.release_cooldown(mobile, "r1")
    assert await outcome(issue(codes, mobile, solved=name_a_challenge())) == "TooManyCodes"


async def test_redis_names_neither_numbers_nor_addresses(make: MakeCodes, redis: Redis) -> None:
    mobile, address = new_mobile(), "198.51.100.77"
    await issue(make(), mobile, address=address)
    names = b"\n".join([key async for key in redis.scan_iter("code:*")])
    for part in (mobile, mobile[:-4], address, "198.51.100.0"):
        assert part.encode() not in names


async def test_every_counter_ends_by_itself(make: MakeCodes, redis: Redis) -> None:
    await issue(make(), new_mobile())
    without_expiry = -1  # -2: the key of another test has expired meanwhile
    assert without_expiry not in [await redis.ttl(key) async for key in redis.scan_iter("code:*")]
