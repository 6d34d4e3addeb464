"""Servers that fail over to another address while the services work."""

import asyncio
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import redis_client
from tests.chaos.sentinels import watched_redis


@pytest.mark.parametrize("lost", ["master", "master-and-a-sentinel"])
async def test_clients_follow_a_redis_that_fails_over(tmp_path: Path, lost: str) -> None:
    with watched_redis(tmp_path) as watched:
        await watched.until_watched()
        redis = redis_client.connect(watched.url)
        try:
            await asyncio.gather(*(redis.set(f"before:{number}", "x") for number in range(50)))
            assert await redis.wait(1, 400) == 1
            if lost != "master":
                watched.sentinels[0].kill()
            watched.first.kill()
            assert await takes_writes_again(redis, 60) > 0
            assert await redis.get("before:0") == b"x"
        finally:
            await redis.aclose()


async def takes_writes_again(redis: Redis, seconds: float) -> int:
    """Write until it works again; return how many writes failed meanwhile, each of them quickly."""
    failed = 0
    deadline = time.monotonic() + seconds
    while True:
        try:
            async with asyncio.timeout(5):
                await redis.set("after", "x")
        except redis_client.REDIS_FAILURES:
            failed += 1
            assert time.monotonic() < deadline, "no new master took over"
            await asyncio.sleep(0.1)
        else:
            return failed
