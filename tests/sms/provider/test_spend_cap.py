"""The money spent in a day and the cap on it, on a real Redis."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.sms.provider.spend_cap import SpendCap
from shared.observability.metrics import ProviderMetrics

PRICE = Decimal("0.05")
CAP = Decimal("1.00")
DAY = 86_400


@pytest.fixture(autouse=True)
async def _fresh(own_redis: Redis) -> None:
    await own_redis.delete("sms:spend")


def new_spend(own_redis: Redis, cap: Decimal = CAP, registry: CollectorRegistry | None = None) -> SpendCap:
    return SpendCap(own_redis, cap, PRICE, ProviderMetrics(registry or CollectorRegistry()))


async def spend_all(spend: SpendCap) -> list[str]:
    """Reserve until the cap; return the reservations."""
    reservations = []
    while reservation := await spend.reserve(1):
        reservations.append(reservation)
    return reservations


async def in_redis(own_redis: Redis) -> dict[str, Decimal]:
    fields: Any = await own_redis.hgetall("sms:spend")
    return {name: Decimal(int(fields[name.encode()])) / 10_000 for name in ("spent", "held")}


async def test_concurrent_workers_do_not_exceed_the_cap(own_redis: Redis) -> None:
    workers = [new_spend(own_redis) for _ in range(5)]

    given = await asyncio.gather(*(worker.reserve(1) for worker in workers for _ in range(20)))

    assert sum(reservation is not None for reservation in given) == CAP / PRICE
    assert await in_redis(own_redis) == {"spent": 0, "held": CAP}


async def test_money_that_was_not_spent_is_available_again(own_redis: Redis) -> None:
    spend = new_spend(own_redis)
    reservations = await spend_all(spend)
    assert spend.reached

    spend.settle(reservations[0], "main", Decimal(0))
    await spend.flush()

    assert not spend.reached
    assert await spend.reserve(1)


async def test_the_providers_fee_replaces_the_expected_price(own_redis: Redis) -> None:
    registry = CollectorRegistry()
    spend = new_spend(own_redis, registry=registry)
    reservation = await spend.reserve(1)
    assert reservation

    spend.settle(reservation, "main", Decimal("0.0325"))
    await spend.flush()

    assert await in_redis(own_redis) == {"spent": Decimal("0.0325"), "held": 0}
    assert registry.get_sample_value("dialpass_sms_spend_rmb_total", {"account": "main"}) == 0.0325
    assert registry.get_sample_value("dialpass_sms_spend_today_rmb") == 0.0325


async def test_a_reached_cap_is_logged_once_by_all_workers_and_counted(own_redis: Redis) -> None:
    registry = CollectorRegistry()
    workers = [new_spend(own_redis, registry=registry if number == 0 else None) for number in range(3)]
    with capture_logs() as logs:
        for worker in workers:
            await spend_all(worker)
            await spend_all(worker)

    assert [log["event"] for log in logs] == ["spend_cap_reached"]
    assert registry.get_sample_value("dialpass_sms_spend_capped_total") == 2
    assert workers[0].reason == "the daily spend cap of 1.00 RMB is reached"


async def test_a_worker_learns_that_others_have_reached_the_cap(own_redis: Redis) -> None:
    one, other = new_spend(own_redis), new_spend(own_redis)
    await spend_all(one)

    await other.flush()

    assert other.reached


async def test_a_higher_cap_allows_to_spend_again(own_redis: Redis) -> None:
    await spend_all(new_spend(own_redis))

    assert await new_spend(own_redis, CAP * 2).reserve(1)


async def test_the_next_day_allows_to_spend_again(own_redis: Redis) -> None:
    spend = new_spend(own_redis)
    await spend_all(spend)
    today = int(time.time() + 8 * 3600) // DAY
    assert await own_redis.hget("sms:spend", "day") == str(today).encode()

    await own_redis.hset("sms:spend", "day", str(today - 1))
    await spend.flush()

    assert not spend.reached
    assert await in_redis(own_redis) == {"spent": 0, "held": 0}


async def test_a_message_of_several_parts_needs_the_money_of_all(own_redis: Redis) -> None:
    spend = new_spend(own_redis, PRICE * 3)

    assert await spend.reserve(2)
    assert await spend.reserve(2) is None
    await spend.flush()
    assert spend.reached


async def test_money_that_an_emptied_redis_lost_is_restored(own_redis: Redis) -> None:
    spend = new_spend(own_redis)
    for reservation in (await spend_all(spend))[:10]:
        spend.settle(reservation, "main", PRICE)
    await spend.flush()

    await own_redis.delete("sms:spend")
    await spend.flush()

    assert await in_redis(own_redis) == {"spent": PRICE * 10, "held": 0}


async def test_without_a_cap_money_is_counted_and_nothing_reserved(own_redis: Redis) -> None:
    spend = new_spend(own_redis, Decimal(0))
    for _ in range(50):
        reservation = await spend.reserve(1)
        assert reservation
        spend.settle(reservation, "main", PRICE)

    await spend.flush()

    assert not spend.reached
    assert await in_redis(own_redis) == {"spent": PRICE * 50, "held": 0}
    assert await own_redis.hkeys("sms:spend") != []
