import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pymysql
import pytest
from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from deploy.local.errors import LocalError
from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_port
from deploy.local.programs import ensure_programs
from deploy.local.redis import Redis
from deploy.local.servers import Servers, start_all, stop_all, throwaway

OWNER = """
import os, pathlib, signal, sys
from deploy.local.servers import start_all, throwaway
start_all(throwaway(pathlib.Path(sys.argv[1])).all)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder with a long name " + "x" * 100)


@pytest.fixture(name="servers", scope="module")
def _servers(folder: Path) -> Iterator[Servers]:
    ensure_programs()
    servers = throwaway(folder)
    start_all(servers.all)
    yield servers
    stop_all(servers.all)


def processes_in(folder: Path) -> list[str]:
    """Return the processes whose working directory is in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "comm").read_text().strip())
        except OSError:  # ended meanwhile, or of another user
            continue
    return sorted(found)


def query(server: MariaDb, statement: str, timeout: int = 5) -> object:
    address = urlsplit(server.url)
    with pymysql.connect(
        host=address.hostname,
        port=address.port or 0,
        user=address.username,
        password=address.password or "",
        database=address.path[1:],
        connect_timeout=timeout,
        read_timeout=timeout,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()


def test_temporary_tables_are_in_the_servers_own_folder(servers: Servers, folder: Path) -> None:
    row = query(servers.mariadb, "SELECT @@tmpdir")
    assert isinstance(row, tuple)
    assert Path(row[0]).is_relative_to(folder)


def client(server: Redis) -> "Client":
    return Client.from_url(server.url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


async def publish(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        await channel.declare_queue("kept", durable=True, arguments=arguments)
        await channel.default_exchange.publish(aio_pika.Message(b"hello"), "kept")


async def take(url: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("kept")
        # On a busy machine the queue elects its leader some time after the broker takes connections.
        for _ in range(600):
            if message := await queue.get(fail=False, timeout=30):
                await message.ack()
                return message.body
            await asyncio.sleep(0.1)
        raise AssertionError("no message")


def test_a_stopped_mariadb_leaves_nothing_running_and_keeps_its_rows(servers: Servers) -> None:
    query(servers.mariadb, "CREATE TABLE kept (name TEXT) SELECT '名' AS name")
    servers.mariadb.stop()
    assert processes_in(servers.mariadb.folder) == []
    servers.mariadb.start()
    assert query(servers.mariadb, "SELECT name FROM kept") == ("名",)


def test_a_killed_durable_mariadb_keeps_its_rows(folder: Path) -> None:
    server = MariaDb(folder / "durable mariadb", free_port())
    server.start()
    query(server, "CREATE TABLE kept (number INT)")
    query(server, "INSERT INTO kept VALUES (7)")
    server.kill()
    assert processes_in(server.folder) == []
    server.start()
    assert query(server, "SELECT number FROM kept") == (7,)
    server.stop()


def test_the_mariadb_user_can_create_databases(servers: Servers) -> None:
    query(servers.mariadb, "CREATE DATABASE dialpass_other")
    query(servers.mariadb, "DROP DATABASE dialpass_other")


def test_a_paused_mariadb_hangs_until_it_is_resumed(servers: Servers) -> None:
    servers.mariadb.pause()
    with pytest.raises(pymysql.err.OperationalError):
        query(servers.mariadb, "SELECT 1", timeout=1)
    servers.mariadb.resume()
    assert query(servers.mariadb, "SELECT 1") == (1,)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_durable_redis_keeps_its_keys(folder: Path, end: str) -> None:
    server = Redis(folder / "durable redis", free_port())
    server.start()
    client(server).set("kept", end)
    getattr(server, end)()
    assert processes_in(server.folder) == []
    server.start()
    assert client(server).get("kept") == end.encode()
    server.stop()


def test_a_throwaway_redis_loses_its_keys_and_keeps_its_url(servers: Servers) -> None:
    client(servers.redis).set("kept", "no")
    url = servers.redis.url
    servers.redis.stop()
    servers.redis.start()
    assert servers.redis.url == url
    assert client(servers.redis).get("kept") is None


def test_a_paused_redis_hangs_until_it_is_resumed(servers: Servers) -> None:
    servers.redis.pause()
    with pytest.raises(RedisTimeout):
        client(servers.redis).ping()
    servers.redis.resume()
    assert client(servers.redis).ping()


async def test_a_killed_rabbitmq_leaves_nothing_running_and_keeps_its_messages(
    servers: Servers,
) -> None:
    await publish(servers.rabbitmq.url)
    await asyncio.sleep(3)  # the broker persists a new quorum queue twice a second, later on a busy machine
    servers.rabbitmq.kill()
    assert processes_in(servers.rabbitmq.folder) == []
    servers.rabbitmq.start()
    assert await take(servers.rabbitmq.url) == b"hello"


async def test_a_stopped_rabbitmq_leaves_nothing_running_and_keeps_its_messages(
    servers: Servers,
) -> None:
    await publish(servers.rabbitmq.url)
    servers.rabbitmq.stop()
    assert processes_in(servers.rabbitmq.folder) == []
    servers.rabbitmq.start()
    assert await take(servers.rabbitmq.url) == b"hello"


async def test_a_paused_rabbitmq_hangs_until_it_is_resumed(servers: Servers) -> None:
    servers.rabbitmq.pause()
    with pytest.raises(TimeoutError):
        await aio_pika.connect(servers.rabbitmq.url, timeout=0.5)
    servers.rabbitmq.resume()
    async with await aio_pika.connect(servers.rabbitmq.url, timeout=10):
        pass


def test_servers_are_killed_with_their_owner(folder: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(folder / "orphans")]
    subprocess.run(command, timeout=60, check=False)
    for _ in range(100):
        if not processes_in(folder / "orphans"):
            return
        subprocess.run(["sleep", "0.05"], check=True)
    assert processes_in(folder / "orphans") == []


def test_a_server_whose_port_is_in_use_does_not_start(servers: Servers, folder: Path) -> None:
    rival = Redis(folder / "rival", servers.redis.port, timeout=10)
    with pytest.raises(LocalError, match=rf"redis: port {servers.redis.port} is in use"):
        rival.start()


def test_a_failed_start_shows_the_end_of_the_log(folder: Path) -> None:
    server = Redis(folder / "spoilt", free_port())
    (server.folder / "appendonlydir" / "appendonly.aof.manifest").mkdir(parents=True)
    with pytest.raises(LocalError, match=r"(?s)redis ended while starting.*manifest"):
        server.start()
    assert processes_in(server.folder) == []
