"""Servers that fail over to another address while the services work."""

import asyncio
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.auth.database import Database
from services.auth.domain import NewUser
from services.auth.users import MysqlUsers
from shared import redis_client
from shared.errors import Unavailable
from shared.message_status import now
from tests.chaos.replicated_mariadb import replicated_mariadb
from tests.chaos.sentinels import watched_redis
from tests.client import eventually, new_mobile
from tests.system import run


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


@pytest.mark.parametrize("how", ["killed", "demoted"])
async def test_accounts_outlive_the_server_that_took_them(tmp_path: Path, how: str) -> None:
    with replicated_mariadb(tmp_path) as pair:
        run("services.auth", "migrate", env={"MYSQL_URL": pair.url})
        database = Database(pair.url, pool_size=8)
        stored: set[str] = set()
        load = [asyncio.create_task(keep_registering(MysqlUsers(database), stored)) for _ in range(8)]
        try:
            await grows(stored, 50)
            await asyncio.to_thread(pair.first.kill if how == "killed" else pair.demote_first)
            await eventually(lambda: not pair.second.behind)
            if how == "demoted":
                await eventually(lambda: pair.level)
            await asyncio.to_thread(pair.promote_second)
            await grows(stored, 50)
        finally:
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
        rows = await database.fetch_all("SELECT mobile FROM users", ())
        await database.close()
        assert stored <= {mobile for (mobile,) in rows}
        assert pair.second.row("SELECT COUNT(*) AS users FROM dialpass.users") == {"users": len(rows)}


async def keep_registering(users: MysqlUsers, stored: set[str]) -> None:
    """Store one account after the other; each one that was acknowledged is noted."""
    while True:
        mobile = new_mobile()
        try:
            await users.add(NewUser(mobile, "a hash", None, None, now()))
            stored.add(mobile)
        except Unavailable:
            await asyncio.sleep(0.05)


async def grows(stored: set[str], by: int, seconds: float = 60) -> None:
    """Wait until so many more accounts have been stored."""
    wanted, deadline = len(stored) + by, time.monotonic() + seconds
    while len(stored) < wanted:
        assert time.monotonic() < deadline, f"{wanted - len(stored)} writes are missing"
        await asyncio.sleep(0.05)


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
