"""The rate limit that all workers share, on a real Redis that tells when each slot was taken."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.provider.rate_limit import RateLimiter
from shared.observability.metrics import ProviderMetrics
from tests.support.client import eventually
from tests.support.system import ROOT

RATE = 60
SECONDS = 3
# A worker in which eight calls at a time acquire slots for some seconds.
WORKER = """
import asyncio, sys, time
from prometheus_client import CollectorRegistry
from services.sms.provider.rate_limit import RateLimiter
from shared.redis import client as redis_client
from shared.observability.metrics import ProviderMetrics

async def main(url, rate, seconds):
    redis = redis_client.connect(url)
    limiter = RateLimiter(redis, rate, ProviderMetrics(CollectorRegistry()))
    taken, end = 0, time.monotonic() + seconds

    async def calls():
        nonlocal taken
        while time.monotonic() < end and await limiter.acquire(60):
            taken += 1

    await asyncio.gather(*(calls() for _ in range(8)))
    await redis.aclose()
    print(taken)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
"""


@pytest.fixture(autouse=True)
async def _fresh(own_redis: Redis) -> None:
    await own_redis.delete("sms:budget")


@pytest.fixture
async def slots(own_redis_url: str) -> AsyncIterator[list[float]]:
    """When each slot was taken, as Redis saw it."""
    times: list[float] = []
    # Without a time limit: nothing happens while the workers start.
    async with Redis.from_url(own_redis_url, socket_timeout=None) as redis, redis.monitor() as monitor:

        async def listen() -> None:
            async for command in monitor.listen():
                if command["command"].startswith("SET sms:budget "):
                    times.append(command["time"])  # noqa: PERF401 - others read it meanwhile

        listening = asyncio.create_task(listen())
        yield times
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def new_limiter(own_redis: Redis, rate: int, registry: CollectorRegistry | None = None) -> RateLimiter:
    return RateLimiter(own_redis, rate, ProviderMetrics(registry or CollectorRegistry()))


def most_in_a_second(times: list[float]) -> int:
    # Redis logs a command a little later than it reads the time.
    return max(sum(start <= time < start + 0.99 for time in times) for start in times)


@pytest.mark.parametrize("workers", [1, 4])
async def test_more_workers_do_not_send_faster(own_redis_url: str, slots: list[float], workers: int) -> None:
    command = [sys.executable, "-c", WORKER, own_redis_url, str(RATE), str(SECONDS)]
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(workers)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))

    taken = [int(output) for output, _ in outputs]
    await eventually(lambda: len(slots) >= sum(taken))
    assert sum(taken) == len(slots)
    assert most_in_a_second(slots) <= RATE
    assert all(taken), "each worker gets a share"


async def test_slots_are_spread_over_the_second(own_redis: Redis, slots: list[float]) -> None:
    limiter = new_limiter(own_redis, 10)

    assert all([await limiter.acquire(10) for _ in range(6)])

    await own_redis.ping()
    assert min(later - earlier for earlier, later in pairwise(slots)) > 0.09


async def test_calls_get_their_slots_in_the_order_in_which_they_came(own_redis: Redis) -> None:
    limiter = new_limiter(own_redis, 50)
    order: list[int] = []

    async def call(number: int) -> None:
        await limiter.acquire(30)
        order.append(number)

    await asyncio.gather(*(call(number) for number in range(20)))

    assert order == list(range(20))


async def test_a_call_does_not_wait_longer_than_it_may(own_redis: Redis) -> None:
    registry = CollectorRegistry()
    limiter = new_limiter(own_redis, 1, registry)
    await limiter.acquire(10)

    assert not await limiter.acquire(0.1)
    assert registry.get_sample_value("dialpass_sms_budget_missed_total") == 1


async def test_a_call_that_timed_out_takes_no_slot(own_redis: Redis) -> None:
    limiter = new_limiter(own_redis, 2)
    await limiter.acquire(10)
    waiting = [asyncio.create_task(limiter.acquire(0.05)) for _ in range(50)]
    assert not any(await asyncio.gather(*waiting))

    async with asyncio.timeout(5):
        assert await limiter.acquire(5)


async def test_a_clock_that_was_put_back_does_not_stop_the_sending(own_redis: Redis) -> None:
    await own_redis.set("sms:budget", 4_000_000_000_000_000)

    async with asyncio.timeout(10):
        assert await new_limiter(own_redis, 50).acquire(10)
