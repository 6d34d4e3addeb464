"""Servers that fail over to another address while the services work."""

import asyncio
import secrets
import time
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest
from redis.asyncio import Redis

from services.auth.database import Database
from services.auth.domain import NewUser
from services.auth.errors import SmsUnavailable
from services.auth.sms_queue import RabbitSmsQueue
from services.auth.users import MysqlUsers
from shared import redis_client
from shared.amqp import SEND_CODE_QUEUE
from shared.errors import Unavailable
from shared.message_status import now
from shared.messages import SendCode
from shared.metrics import AuthMetrics, new_registry
from shared.sealing import Sealer
from tests.chaos.rabbitmq_cluster import rabbitmq_cluster
from tests.chaos.replicated_mariadb import replicated_mariadb
from tests.chaos.sentinels import watched_redis
from tests.client import eventually, new_mobile
from tests.system import run


@pytest.mark.parametrize("lost", ["master", pytest.param("master-and-a-sentinel", marks=pytest.mark.long)])
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
            await end(load)
        rows = await database.fetch_all("SELECT mobile FROM users", ())
        await database.close()
        assert stored <= {mobile for (mobile,) in rows}
        assert pair.second.row("SELECT COUNT(*) AS users FROM dialpass.users") == {"users": len(rows)}


@pytest.mark.parametrize(
    "lost", [pytest.param(0, id="the-leader"), pytest.param(1, id="a-follower", marks=pytest.mark.long)]
)
async def test_no_confirmed_message_is_lost_with_a_node_of_the_broker(tmp_path: Path, lost: int) -> None:
    with rabbitmq_cluster(tmp_path) as cluster:
        queue = RabbitSmsQueue(cluster.urls, Sealer(["of a throwaway broker"]), AuthMetrics(new_registry()))
        queue.link.start()
        confirmed: set[str] = set()
        load = [asyncio.create_task(keep_publishing(queue, confirmed)) for _ in range(8)]
        try:
            await grows(confirmed, 200)
            # A queue's leader is on the node where it was declared, the first of the list.
            await asyncio.to_thread(cluster.nodes[lost].kill)
            await grows(confirmed, 200)
        finally:
            await end(load)
            await queue.link.close()
        assert confirmed <= await messages_in(SEND_CODE_QUEUE, cluster.nodes[2].url)


async def keep_publishing(queue: RabbitSmsQueue, confirmed: set[str]) -> None:
    """Publish one message after the other; each one that was confirmed is noted."""
    while True:
        moment = now()
        message = SendCode(
            message_id=secrets.token_hex(16), mobile=new_mobile(), code="123456", purpose="login",
            created_at=moment, expires_at=moment + timedelta(minutes=10),
        )  # fmt: skip
        try:
            await queue.publish(message)
            confirmed.add(message.message_id)
        except SmsUnavailable:
            await asyncio.sleep(0.05)


async def messages_in(queue_name: str, url: str) -> set[str]:
    """Take everything out of a queue and return the messages' ids."""
    found: set[str] = set()
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(queue_name)
        while (message := await queue.get(fail=False)) is not None:
            found.add(message.message_id or "")
            await message.ack()
    return found


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
    """Wait until so many more writes have been acknowledged."""
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
