"""The rates of changes, per session and account, on a real Redis and without one."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.local.ports import free_port
from services.auth.change_limits import ChangeLimiter, ChangeLimits, RefreshLimiter
from services.auth.limits import parse_limits
from services.auth.models import Caller, User
from shared.errors import TooManyRequests
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.clock import NOW

LIMITS = ChangeLimits(parse_limits("3/hour,100/day"), parse_limits("5/hour"))


def new_caller() -> Caller:
    return Caller(
        User(secrets.randbelow(2**62), "13800000000", None, None, None, None, NOW), secrets.token_hex(16)
    )


def another_session(caller: Caller) -> Caller:
    return replace(caller, session_id=secrets.token_hex(16))


@pytest.fixture
def limiter(redis: Redis, auth_metrics: AuthMetrics) -> ChangeLimiter:
    return ChangeLimiter(redis, LIMITS, auth_metrics)


@pytest.fixture
async def limiter_without_redis(auth_metrics: AuthMetrics) -> AsyncIterator[ChangeLimiter]:
    client = redis_client.connect(f"redis://127.0.0.1:{free_port()}/0")
    yield ChangeLimiter(client, LIMITS, auth_metrics)
    await client.aclose()


async def use_up(limiter: ChangeLimiter) -> None:
    caller = new_caller()
    for _ in range(3):
        await limiter.charge(caller)
    with pytest.raises(TooManyRequests) as refusal:
        await limiter.charge(caller)
    assert refusal.value.retry_after is not None
    assert 3590 < refusal.value.retry_after <= 3600
    other = another_session(caller)
    for _ in range(2):
        await limiter.charge(other)
    with pytest.raises(TooManyRequests):
        await limiter.charge(another_session(caller))
    await limiter.charge(new_caller())


async def test_a_session_uses_up_its_own_part_of_its_account(
    limiter: ChangeLimiter, registry: CollectorRegistry
) -> None:
    await use_up(limiter)
    for subject in ("session", "account"):
        labels = {"kind": "change", "subject": subject}
        assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == 1


async def test_a_refused_change_is_not_counted(limiter: ChangeLimiter) -> None:
    caller = new_caller()
    for _ in range(3):
        await limiter.charge(caller)
    for _ in range(10):
        with pytest.raises(TooManyRequests):
            await limiter.charge(caller)
    await limiter.charge(another_session(caller))


async def test_replicas_share_the_counters(redis: Redis, auth_metrics: AuthMetrics) -> None:
    replicas, caller = [ChangeLimiter(redis, LIMITS, auth_metrics) for _ in range(4)], new_caller()
    for replica in replicas[:3]:
        await replica.charge(caller)
    with pytest.raises(TooManyRequests):
        await replicas[3].charge(caller)


async def test_without_redis_each_process_counts_its_own(
    limiter_without_redis: ChangeLimiter, registry: CollectorRegistry
) -> None:
    await use_up(limiter_without_redis)
    assert registry.get_sample_value("dialpass_changes_counted_locally_total") == 8
    assert registry.get_sample_value("dialpass_dependency_failures_total", {"dependency": "redis"}) == 8


def test_a_stranger_does_not_use_up_the_refreshes_of_a_session(auth_metrics: AuthMetrics) -> None:
    limiter = RefreshLimiter(parse_limits("3/minute"), auth_metrics)
    for _ in range(3):
        limiter.charge("session", "203.0.113.9")
    for address in ("203.0.113.9", "203.0.113.10"):
        with pytest.raises(TooManyRequests):
            limiter.charge("session", address)
    limiter.charge("session", "192.0.2.1")
    limiter.charge("another", "203.0.113.9")


def test_the_counters_of_a_process_are_bounded(auth_metrics: AuthMetrics) -> None:
    limiter = RefreshLimiter(parse_limits("1/hour"), auth_metrics)
    limiter.charge("first", "192.0.2.1")
    for number in range(20_000):
        limiter.charge(f"session {number}", "192.0.2.1")
    limiter.charge("first", "192.0.2.1")
