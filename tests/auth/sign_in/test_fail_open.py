"""When the throttle opens: if Redis is down, and not if this process is late."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.errors import TooManyAttempts, WrongCredentials
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.sign_in.throttle import SignInLimits, SignInThrottle
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.client import new_mobile
from tests.support.codes import issue, make_codes
from tests.support.proxies import TcpProxy

HOUR = 3_600_000
HOME = "192.0.2.1"
LIMITS = SignInLimits(Limit(10, HOUR), Limit(100, HOUR), Limit(300, HOUR))

Throttled = Callable[[], SignInThrottle]

# A connection attempt that is cancelled after the kernel has connected is left to the garbage collector by
# asyncio.open_connection; these tests cancel many.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
async def through(redis_proxy: TcpProxy) -> AsyncIterator[Redis]:
    client = redis_client.connect(redis_proxy.url_through)
    yield client
    await client.aclose()


@pytest.fixture
def throttle(through: Redis, auth_metrics: AuthMetrics) -> SignInThrottle:
    return SignInThrottle(through, KeyedHash(secrets.token_hex(32)), LIMITS, auth_metrics)


async def guess(throttle: SignInThrottle, mobile: str, address: str = HOME) -> str:
    """Check a wrong password and return how the attempt ends."""
    try:
        async with throttle.attempt(mobile, address):
            raise WrongCredentials
    except (WrongCredentials, TooManyAttempts, Unavailable) as error:
        return type(error).__name__


def counted(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(f"dialpass_sign_ins_{name}_total") or 0


async def guess_while_the_loop_is_late(throttle: SignInThrottle, mobile: str, redis_proxy: TcpProxy) -> str:
    # The command is sent; then something else occupies the event loop for longer than the time limit,
    # while the answer is waiting.
    def be_late() -> None:
        time.sleep(0.7)
        redis_proxy.release()

    redis_proxy.hold("down")
    asyncio.get_running_loop().call_later(0.05, be_late)
    return await guess(throttle, mobile)


async def test_a_late_event_loop_opens_nothing(
    throttle: SignInThrottle, redis_proxy: TcpProxy, registry: CollectorRegistry
) -> None:
    await guess(throttle, new_mobile())  # connects
    mobile = new_mobile()
    seen = Counter([await guess_while_the_loop_is_late(throttle, mobile, redis_proxy) for _ in range(3)])
    assert seen["Unavailable"] >= 1
    assert counted(registry, "unthrottled") == 0
    assert counted(registry, "undecided") == seen["Unavailable"]


async def test_late_answers_open_nothing_and_charge_nothing(
    throttle: SignInThrottle, redis_proxy: TcpProxy, registry: CollectorRegistry
) -> None:
    mobile = new_mobile()
    assert await guess(throttle, mobile) == "WrongCredentials"
    for _ in range(12):
        redis_proxy.hold("down")
        asyncio.get_running_loop().call_later(0.6, redis_proxy.release)
        assert await guess(throttle, mobile) == "Unavailable"
    assert counted(registry, "unthrottled") == 0
    assert await guess(throttle, mobile) == "WrongCredentials"  # the second of ten


async def test_an_exhausted_pool_opens_nothing(throttle: SignInThrottle, through: Redis) -> None:
    pool = through.connection_pool
    taken = [await pool.get_connection() for _ in range(pool.max_connections)]  # type: ignore[no-untyped-call]
    assert await guess(throttle, new_mobile()) == "Unavailable"
    for connection in taken:
        await pool.release(connection)
    assert await guess(throttle, new_mobile()) == "WrongCredentials"


async def test_a_rush_of_guesses_gets_no_more_than_the_free_ones(
    throttle: SignInThrottle, registry: CollectorRegistry
) -> None:
    mobile = new_mobile()
    for _ in range(3):
        asyncio.get_running_loop().call_later(0.001, time.sleep, 0.6)
        await asyncio.gather(*(guess(throttle, mobile, f"192.0.2.{n % 250}") for n in range(400)))
    assert counted(registry, "unthrottled") == 0


async def test_a_failure_at_a_trusted_address_is_charged_although_its_charge_came_too_late(
    throttle: SignInThrottle, redis_proxy: TcpProxy
) -> None:
    mobile = new_mobile()
    async with throttle.attempt(mobile, HOME):
        pass

    async def guess_late() -> None:
        async with throttle.attempt(mobile, HOME):
            redis_proxy.hold("up")
            asyncio.get_running_loop().call_later(0.55, redis_proxy.release)
            raise WrongCredentials

    for _ in range(11):
        with pytest.raises(WrongCredentials):
            await guess_late()
        await asyncio.sleep(0.4)  # the first repetitions come within this time
    assert await guess(throttle, mobile) == "TooManyAttempts"


@pytest.mark.parametrize("broken", ["refused", "silent"])
async def test_without_redis_each_process_limits_guesses_by_itself(
    throttle: SignInThrottle, redis_proxy: TcpProxy, registry: CollectorRegistry, broken: str
) -> None:
    if broken == "refused":
        redis_proxy.refuse()
    else:
        redis_proxy.hold("down")
    mobile = new_mobile()
    seen = Counter(await asyncio.gather(*(guess(throttle, mobile) for _ in range(30))))
    assert seen == {"WrongCredentials": 10, "TooManyAttempts": 20}
    assert counted(registry, "unthrottled") == 10


async def test_where_redis_takes_no_writes_sign_ins_go_on(
    redis: Redis, auth_metrics: AuthMetrics, registry: CollectorRegistry
) -> None:
    throttle = SignInThrottle(redis, KeyedHash(secrets.token_hex(32)), LIMITS, auth_metrics)
    await redis.config_set("min-replicas-to-write", 1)
    try:
        assert await guess(throttle, new_mobile()) == "WrongCredentials"
    finally:
        await redis.config_set("min-replicas-to-write", 0)
    assert counted(registry, "unthrottled") == 1


@pytest.fixture(params=["refused", "late", "no writes"])
async def broken_redis(
    request: pytest.FixtureRequest, redis_proxy: TcpProxy, redis: Redis
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    async def breaks() -> None:
        if request.param == "refused":
            redis_proxy.refuse()
        elif request.param == "late":
            redis_proxy.hold("down")
        else:
            await redis.config_set("min-replicas-to-write", 1)

    yield breaks
    await redis.config_set("min-replicas-to-write", 0)


async def test_codes_stay_closed_however_redis_fails(
    through: Redis, auth_metrics: AuthMetrics, broken_redis: Callable[[], Awaitable[None]]
) -> None:
    codes, mobile = make_codes(through, auth_metrics), new_mobile()
    code = await issue(codes, mobile)
    await broken_redis()
    with pytest.raises(Unavailable):
        await issue(codes, new_mobile())
    with pytest.raises(Unavailable):
        await codes.repository.redeem(mobile, "register", code, address=HOME, attempt="one")
