"""Spend cap, rate limit and circuits while the Redis that the workers share hangs and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.local.servers import Servers
from services.sms.provider.circuit_breaker import AccountChannel, AccountCircuits
from services.sms.provider.rate_limit import RateLimiter
from services.sms.provider.spend_cap import SpendCap
from shared.observability.metrics import ProviderMetrics
from shared.redis import client as redis_client
from shared.redis.client import REDIS_FAILURES

PRICE = Decimal("0.05")
CHANNEL = AccountChannel("main", "sms")


@pytest.fixture
def _hanging(servers: Servers) -> Iterator[None]:
    yield
    servers.redis.resume()


@pytest.fixture
async def redis(servers: Servers, _hanging: None) -> AsyncIterator[Redis]:
    # A database of its own: all workers of one share circuits, money and slots.
    client = redis_client.connect(f"{servers.redis.url.rpartition('/')[0]}/9")
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def metrics() -> ProviderMetrics:
    return ProviderMetrics(CollectorRegistry())


async def test_money_is_counted_once_although_the_answer_was_lost(
    servers: Servers, redis: Redis, metrics: ProviderMetrics
) -> None:
    spend = SpendCap(redis, Decimal(1), PRICE, metrics)
    reservations = [await spend.reserve(1) for _ in range(4)]
    await spend.flush()
    for reservation in reservations[:3]:
        spend.settle(str(reservation), "main", PRICE)

    servers.redis.pause()  # what is asked now is carried out when it goes on
    for _ in range(2):
        with pytest.raises(REDIS_FAILURES):
            await spend.flush()
    spend.settle(str(reservations[3]), "main", PRICE)
    servers.redis.resume()
    await spend.flush()
    await spend.flush()

    fields: Any = await redis.hgetall("sms:spend")
    assert (int(fields[b"spent"]), int(fields[b"held"])) == (2000, 0)


async def test_nothing_is_reserved_until_redis_answers(
    servers: Servers, redis: Redis, metrics: ProviderMetrics
) -> None:
    spend = SpendCap(redis, Decimal(1), PRICE, metrics)
    servers.redis.pause()
    reserving = asyncio.create_task(spend.reserve(1))
    await asyncio.sleep(2)
    assert not reserving.done()

    servers.redis.resume()

    async with asyncio.timeout(20):
        assert await reserving
    assert await redis.hget("sms:spend", "held") == b"500", "reserved once, however often it was asked for"


async def test_no_slot_is_granted_while_redis_hangs(
    servers: Servers, redis: Redis, metrics: ProviderMetrics
) -> None:
    limiter = RateLimiter(redis, 50, metrics)
    servers.redis.pause()
    assert not await limiter.acquire(2)

    servers.redis.resume()

    assert await limiter.acquire(20)


async def test_a_circuit_that_could_not_be_shared_is_open_until_redis_is_back(
    servers: Servers, redis: Redis, metrics: ProviderMetrics
) -> None:
    circuits = AccountCircuits(redis, [CHANNEL], metrics)
    servers.redis.pause()
    with pytest.raises(REDIS_FAILURES):
        await circuits.open(CHANNEL, "3")
    with pytest.raises(REDIS_FAILURES):
        await circuits.refresh()
    assert circuits.code(CHANNEL) == "3"

    servers.redis.resume()
    await redis.delete(CHANNEL.key)
    await circuits.refresh()

    assert not circuits.code(CHANNEL)
