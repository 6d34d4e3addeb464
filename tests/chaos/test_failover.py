"""Servers that fail over to another address while the services work."""

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.codes.publisher import SendCodePublisher
from services.auth.db.database import Database
from services.auth.errors import SmsUnavailable
from services.auth.models import NewUser
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.clock import now
from shared.contracts.messages import SendCode
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics, new_registry
from shared.redis import client as redis_client
from shared.security.sealing import Sealer
from tests.chaos.failover_load import under_load
from tests.chaos.rabbitmq_cluster import rabbitmq_cluster
from tests.chaos.replicated_mariadb import replicated_mariadb
from tests.chaos.sentinels import watched_redis
from tests.support.client import eventually, new_mobile
from tests.support.system import run


@pytest.mark.parametrize("lost", ["master", pytest.param("master-and-a-sentinel", marks=pytest.mark.long)])
async def test_clients_follow_a_redis_that_fails_over(tmp_path: Path, lost: str) -> None:
    with watched_redis(tmp_path) as watched:
        await watched.until_watched()
        redis = redis_client.connect(watched.url)

        async def write() -> str:
            name = secrets.token_hex(8)
            async with asyncio.timeout(5):  # each fails quickly, if it does
                await redis.set(name, "x")
            return name

        try:
            async with under_load(write, *redis_client.REDIS_FAILURES) as load:
                await load.grows(500)
                safe = set(load.acknowledged)
                assert await redis.wait(1, 400) == 1
                if lost != "master":
                    watched.sentinels[0].kill()
                watched.first.kill()
                await load.grows(500)
            kept = {name.decode() for name in await redis.keys() if isinstance(name, bytes)}
        finally:
            await redis.aclose()
        assert load.failed > 0
        assert safe <= kept
        # Replication is asynchronous: the very last writes before the end may be gone.
        load.report(f"Redis, {lost}", len(load.acknowledged - kept))


@pytest.mark.parametrize("how", ["killed", "demoted"])
async def test_accounts_outlive_the_server_that_took_them(tmp_path: Path, how: str) -> None:
    with replicated_mariadb(tmp_path) as pair:
        run("services.auth", "migrate", env={"MYSQL_URL": pair.url})
        database = Database(pair.url, pool_size=8)
        users = UserRepository(database)

        async def register() -> str:
            mobile = new_mobile()
            await users.add(NewUser(mobile, "a hash", None, None, now()))
            return mobile

        async with under_load(register, Unavailable) as load:
            await load.grows(50)
            await asyncio.to_thread(pair.first.kill if how == "killed" else pair.demote_first)
            await eventually(lambda: not pair.second.behind)
            if how == "demoted":
                await eventually(lambda: pair.level)
            await asyncio.to_thread(pair.promote_second)
            await load.grows(50)
        stored = {mobile for (mobile,) in await database.fetch_all("SELECT mobile FROM users", ())}
        await database.close()
        assert load.acknowledged <= stored
        assert pair.second.row("SELECT COUNT(*) AS users FROM dialpass.users") == {"users": len(stored)}
        load.report(f"MariaDB, {how}", len(load.acknowledged - stored))


@pytest.mark.parametrize(
    "lost", [pytest.param(0, id="the-leader"), pytest.param(1, id="a-follower", marks=pytest.mark.long)]
)
async def test_no_confirmed_message_is_lost_with_a_node_of_the_broker(tmp_path: Path, lost: int) -> None:
    with rabbitmq_cluster(tmp_path) as cluster:
        queue = SendCodePublisher(
            cluster.urls, Sealer(["of a throwaway broker"]), AuthMetrics(new_registry())
        )
        queue.link.start()

        async def publish() -> str:
            message = new_message()
            await queue.publish(message)
            return message.message_id

        async with under_load(publish, SmsUnavailable) as load:
            await load.grows(200)
            # A queue's leader is on the node where it was declared, the first of the list.
            await asyncio.to_thread(cluster.nodes[lost].kill)
            await load.grows(200)
        await queue.link.close()
        stored = await messages_in(SEND_CODE_QUEUE, cluster.nodes[2].url)
        assert load.acknowledged <= stored
        load.report(f"RabbitMQ, {('leader', 'follower')[lost]}", len(load.acknowledged - stored))


def new_message() -> SendCode:
    moment = now()
    return SendCode(
        message_id=secrets.token_hex(16), mobile=new_mobile(), code="123456", purpose="login",
        created_at=moment, expires_at=moment + timedelta(minutes=10),
    )  # fmt: skip


async def messages_in(queue_name: str, url: str) -> set[str]:
    """Take everything out of a queue and return the messages' ids."""
    found: set[str] = set()
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(queue_name)
        while (message := await queue.get(fail=False)) is not None:
            found.add(message.message_id or "")
            await message.ack()
    return found
