"""The throttle of sign-ins with a password."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.errors import Overloaded, TooManyAttempts, WrongCredentials
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.sign_in.throttle import SignInLimits, SignInThrottle
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.client import new_mobile

HOUR = 3_600_000
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"

MakeThrottle = Callable[..., SignInThrottle]


@pytest.fixture
def make(redis: Redis, auth_metrics: AuthMetrics) -> MakeThrottle:
    """Make a throttle with keys of its own: 3 failures for an account, and no rule but those of the test."""

    def make(
        account: int = 3, address: int = 1000, network: int = 1000, window: int = HOUR
    ) -> SignInThrottle:
        limits = SignInLimits(Limit(account, window), Limit(address, window), Limit(network, window))
        return SignInThrottle(redis, KeyedHash(secrets.token_hex(32)), limits, auth_metrics)

    return make


async def try_password(
    throttle: SignInThrottle,
    mobile: str,
    address: str = ELSEWHERE,
    error: type[Exception] | None = WrongCredentials,
) -> str:
    """Sign in as the use case does; `error` is what the check ends with.

    An attempt that is undecided, because this process was late, counts as none and is repeated.
    """
    try:
        async with throttle.attempt(mobile, address):
            await asyncio.sleep(0)
            if error:
                raise error
    except (WrongCredentials, Overloaded, TooManyAttempts) as raised:
        return type(raised).__name__
    except Unavailable:
        return await try_password(throttle, mobile, address, error)
    return "right"


async def fail(throttle: SignInThrottle, times: int, mobile: str, address: str = ELSEWHERE) -> None:
    for _ in range(times):
        assert await try_password(throttle, mobile, address) == "WrongCredentials"


async def waits(throttle: SignInThrottle, mobile: str, address: str = ELSEWHERE) -> int:
    """Return the seconds that the next attempt has to wait, 0 where it need not."""
    try:
        async with throttle.attempt(mobile, address):
            raise Overloaded
    except TooManyAttempts as refusal:
        return refusal.retry_after or 0
    except Overloaded:
        return 0


async def test_after_the_free_failures_each_one_doubles_the_wait(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    await fail(throttle, 3, mobile)
    assert await waits(throttle, mobile) == 0
    await fail(throttle, 1, mobile)
    assert await waits(throttle, mobile) == 1
    await asyncio.sleep(1.1)
    await fail(throttle, 1, mobile)
    assert await waits(throttle, mobile) == 2


async def test_what_is_refused_counts_as_no_failure(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    await fail(throttle, 4, mobile)
    seen = [await try_password(throttle, mobile) for _ in range(20)]
    assert seen == ["TooManyAttempts"] * 20
    assert await waits(throttle, mobile) == 1


async def test_of_50_parallel_guesses_no_more_than_the_free_ones_run(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    seen = Counter(await asyncio.gather(*(try_password(throttle, mobile, f"10.0.{n}.1") for n in range(50))))
    assert seen["WrongCredentials"] in {4, 5}  # 5 only where that took a second
    assert seen.total() == seen["WrongCredentials"] + seen["TooManyAttempts"] == 50


async def test_time_takes_failures_away(make: MakeThrottle) -> None:
    throttle, mobile = make(window=3000), new_mobile()  # one a second
    await fail(throttle, 4, mobile)
    await asyncio.sleep(3.1)
    await fail(throttle, 3, mobile)


async def test_a_right_password_takes_the_failures_off_its_account(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    for address in ("10.0.0.1", "10.0.1.1", "10.0.2.1"):
        await fail(throttle, 3, mobile, ELSEWHERE)
        assert await try_password(throttle, mobile, address, error=None) == "right"


async def test_a_stranger_cannot_lock_out_an_owner_at_a_known_address(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    assert await try_password(throttle, mobile, HOME, error=None) == "right"
    await fail(throttle, 4, mobile)
    assert await try_password(throttle, mobile) == "TooManyAttempts"
    assert await try_password(throttle, mobile, HOME, error=None) == "right"
    assert await try_password(throttle, mobile) == "TooManyAttempts"  # and the stranger waits on


async def test_a_known_address_is_throttled_by_itself(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    await try_password(throttle, mobile, HOME, error=None)
    await fail(throttle, 4, mobile, HOME)
    assert await try_password(throttle, mobile, HOME) == "TooManyAttempts"
    assert await try_password(throttle, mobile, ELSEWHERE) == "WrongCredentials"


async def test_an_owner_signs_in_many_times_at_once(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    await try_password(throttle, mobile, HOME, error=None)
    seen = await asyncio.gather(*(try_password(throttle, mobile, HOME, error=None) for _ in range(50)))
    assert set(seen) == {"right"}


async def test_parallel_failures_at_a_known_address_are_all_counted(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    await try_password(throttle, mobile, HOME, error=None)
    await asyncio.gather(*(try_password(throttle, mobile, HOME) for _ in range(8)))
    assert await waits(throttle, mobile, HOME) in range(8, 17)  # 5 beyond the free ones: 16 seconds


@pytest.mark.parametrize("subject", ["address", "network"])
async def test_guesses_at_many_accounts_from_one_place_are_slowed(make: MakeThrottle, subject: str) -> None:
    throttle = make(**{subject: 10})
    addresses = [f"192.0.2.{n if subject == 'network' else 7}" for n in range(50)]
    seen = Counter(
        await asyncio.gather(*(try_password(throttle, new_mobile(), address) for address in addresses))
    )
    assert seen["WrongCredentials"] in {11, 12}  # 12 only where that took a second
    assert seen.total() == seen["WrongCredentials"] + seen["TooManyAttempts"] == 50
    assert await try_password(throttle, new_mobile(), ELSEWHERE) == "WrongCredentials"


async def test_a_known_address_gets_in_where_others_are_slowed(make: MakeThrottle) -> None:
    throttle, mobile = make(address=5), new_mobile()
    await try_password(throttle, mobile, HOME, error=None)
    for _ in range(6):
        await fail(throttle, 1, new_mobile(), HOME)
    assert await try_password(throttle, new_mobile(), HOME) == "TooManyAttempts"
    assert await try_password(throttle, mobile, HOME, error=None) == "right"


async def test_own_successes_take_no_failures_off_an_address(make: MakeThrottle) -> None:
    throttle = make(address=5)
    for _ in range(6):
        await fail(throttle, 1, new_mobile(), HOME)
        if await waits(throttle, new_mobile(), HOME) == 0:
            assert await try_password(throttle, new_mobile(), HOME, error=None) == "right"
    assert await try_password(throttle, new_mobile(), HOME) == "TooManyAttempts"


async def test_a_failure_that_is_not_the_users_counts_not(make: MakeThrottle) -> None:
    throttle, mobile = make(address=5), new_mobile()
    for _ in range(20):
        assert await try_password(throttle, mobile, error=Overloaded) == "Overloaded"


async def test_addresses_of_one_host_are_one(make: MakeThrottle) -> None:
    throttle = make(network=3)
    for last in range(4):
        await fail(throttle, 1, new_mobile(), f"2001:db8:1:2::{last}")
    assert await try_password(throttle, new_mobile(), "2001:db8:1:2:ffff::1") == "TooManyAttempts"
    assert await try_password(throttle, new_mobile(), "2001:db8:1:3::1") == "WrongCredentials"


async def test_redis_names_neither_number_nor_address_and_forgets(make: MakeThrottle, redis: Redis) -> None:
    mobile = new_mobile()
    await try_password(make(), mobile, "203.0.113.77", error=None)
    await fail(make(), 1, mobile, "203.0.113.77")
    keys = [key async for key in redis.scan_iter("sign-in:*")]
    assert not any(part in key for key in keys for part in (mobile.encode(), b"203.0.113"))
    without_expiry = -1  # -2: the key of another test has expired meanwhile
    assert without_expiry not in [await redis.pttl(key) for key in keys]


@pytest.fixture
async def no_redis() -> AsyncIterator[Redis]:
    client = redis_client.connect("redis://127.0.0.1:1/0")
    yield client
    await client.aclose()


async def test_without_redis_sign_ins_are_let_through_and_counted(
    no_redis: Redis, auth_metrics: AuthMetrics, registry: CollectorRegistry
) -> None:
    limits = SignInLimits(Limit(1, HOUR), Limit(1, HOUR), Limit(1, HOUR))
    throttle = SignInThrottle(no_redis, KeyedHash("x" * 32), limits, auth_metrics)
    await fail(throttle, 5, new_mobile())
    assert await try_password(throttle, new_mobile(), error=None) == "right"
    assert registry.get_sample_value("dialpass_sign_ins_unthrottled_total") == 6


async def test_refusals_are_counted_by_what_makes_them_wait(
    make: MakeThrottle, registry: CollectorRegistry
) -> None:
    throttle, mobile = make(), new_mobile()
    await fail(throttle, 4, mobile)
    await try_password(throttle, mobile)
    labels = {"kind": "sign_in", "subject": "account"}
    assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == 1
