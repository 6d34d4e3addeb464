"""TLS to real servers: the right authority and host name work, others are refused with a reason."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop
from aio_pika.abc import AbstractConnection
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_ports
from deploy.local.programs import ensure_programs
from deploy.local.rabbitmq import RabbitMq, RabbitPorts
from deploy.local.redis import Redis
from deploy.local.server import ServerTls
from deploy.local.servers import Servers, start_all, stop_all
from services.auth.db.database import Database
from services.auth.db.migrate import MigrationFailed, migrate
from shared.amqp.connection import AmqpLink
from shared.errors import Unavailable
from shared.redis import client as redis_client
from shared.security.tls import explain
from tests.support.certificates import Authority
from tests.support.system import ROOT

# The certificate is for this name, but not for the address behind it.
RIGHT, WRONG = "localhost", "127.0.0.1"
OTHER_HOST = "certificate is not valid for '127.0.0.1'"
OTHER_CA = "self-signed certificate in certificate chain"


@dataclass(frozen=True)
class Encrypted:
    """Servers that offer TLS, with URLs for a host name and an authority."""

    mariadb: MariaDb
    redis_port: int
    rabbitmq: RabbitMq
    rabbitmq_port: int
    tls: ServerTls
    other_ca: Path

    @property
    def ca(self) -> Path:
        return self.tls.ca

    def mysql(self, host: str = RIGHT, ca: Path | None = None) -> str:
        url = self.mariadb.url.replace("127.0.0.1", host)
        return f"{url}?tls=verify&tls_ca={ca or self.ca}"

    def redis(self, host: str = RIGHT, ca: Path | None = None) -> str:
        return f"rediss://{host}:{self.redis_port}/0?ssl_ca_certs={ca or self.ca}"

    def amqp(self, host: str = RIGHT, ca: Path | None = None) -> str:
        parts = urlsplit(self.rabbitmq.url)
        return (
            f"amqps://{parts.username}:{parts.password}@{host}:{self.rabbitmq_port}/?cafile={ca or self.ca}"
        )

    def environment(self, ca: Path | None = None) -> dict[str, str]:
        return {"MYSQL_URL": self.mysql(ca=ca), "REDIS_URL": self.redis(ca=ca), "AMQP_URL": self.amqp(ca=ca)}


@pytest.fixture(name="encrypted", scope="module")
def _encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    ensure_programs()
    folder = tmp_path_factory.mktemp("tls")
    tls = Authority(folder / "right", "the right authority").issue(RIGHT)
    other = Authority(folder / "other", "another authority")
    ports = free_ports(["mariadb", "redis", "redis-tls", "amqp", "epmd", "distribution", "amqps"])
    mariadb = MariaDb(folder / "mariadb", ports["mariadb"], durable=False, tls=tls)
    redis = Redis(folder / "redis", ports["redis"], durable=False, tls=(tls, ports["redis-tls"]))
    rabbit_ports = RabbitPorts(ports["amqp"], ports["epmd"], ports["distribution"], tls=ports["amqps"])
    rabbitmq = RabbitMq(folder / "rabbitmq", rabbit_ports, tls=tls)
    servers = (mariadb, redis, rabbitmq)
    start_all(servers)
    yield Encrypted(mariadb, ports["redis-tls"], rabbitmq, ports["amqps"], tls, other.ca)
    stop_all(servers)


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=2)
    yield database
    await database.close()


async def refusal_of_mysql(url: str) -> str:
    """Return why a server is refused, from the log and from the exception."""
    with capture_logs() as logs:
        async with database(url) as refused:
            with pytest.raises(Unavailable) as raised:
                await refused.check()
    reason = explain(raised.value)
    assert reason is not None
    assert reason in {line.get("reason") for line in logs}
    return reason


async def test_mysql_is_encrypted_for_the_service_and_its_migrations(encrypted: Encrypted) -> None:
    migrate(encrypted.mysql())
    async with database(encrypted.mysql()) as open_database:
        row = await open_database.fetch_one("SHOW STATUS LIKE 'Ssl_cipher'", ())
        assert row is not None
        assert row[1]
        rows = await asyncio.gather(*(open_database.fetch_one("SELECT SLEEP(0.1)", ()) for _ in range(6)))
        assert rows == [(0,)] * 6


def test_mysql_is_encrypted_on_the_loop_of_the_services(encrypted: Encrypted) -> None:
    async def cipher() -> object:
        async with database(encrypted.mysql()) as open_database:
            row = await open_database.fetch_one("SHOW STATUS LIKE 'Ssl_cipher'", ())
            return row and row[1]

    assert uvloop.run(cipher())


async def test_a_mysql_with_another_authority_or_name_is_refused(encrypted: Encrypted) -> None:
    assert OTHER_CA in await refusal_of_mysql(encrypted.mysql(ca=encrypted.other_ca))
    assert OTHER_HOST in await refusal_of_mysql(encrypted.mysql(WRONG))


@pytest.mark.parametrize("kind", ["authority", "name"])
def test_migrations_refuse_a_mysql_with_another_authority_or_name(encrypted: Encrypted, kind: str) -> None:
    url = encrypted.mysql(WRONG) if kind == "name" else encrypted.mysql(ca=encrypted.other_ca)
    with pytest.raises(MigrationFailed, match=OTHER_HOST if kind == "name" else OTHER_CA):
        migrate(url)


async def test_a_mysql_without_tls_is_refused_before_a_password_is_sent(
    servers: Servers, encrypted: Encrypted
) -> None:
    url = f"{servers.mariadb.url}?tls=verify&tls_ca={encrypted.ca}"
    reason = await refusal_of_mysql(url)
    assert "the server offers no TLS" in reason or "certificate was refused" in reason
    with pytest.raises(MigrationFailed, match=r"offers no TLS|certificate"):
        migrate(url)


async def test_redis_is_encrypted_and_verified(encrypted: Encrypted) -> None:
    client = redis_client.connect(encrypted.redis())
    assert await client.set("encrypted", "yes")
    await client.aclose()
    for url, reason in (
        (encrypted.redis(ca=encrypted.other_ca), OTHER_CA),
        (encrypted.redis(WRONG), OTHER_HOST),
    ):
        client = redis_client.connect(url)
        with pytest.raises(RedisError) as raised:
            await client.ping()
        assert reason in (explain(raised.value) or "")
        await client.aclose()


async def test_the_broker_is_encrypted_and_verified(encrypted: Encrypted) -> None:
    async with asyncio.timeout(20):
        link = AmqpLink([encrypted.amqp()], _nothing_to_set_up, "test")
        link.start()
        await link.wait_up()
        await link.close()
    for url, reason in (
        (encrypted.amqp(ca=encrypted.other_ca), OTHER_CA),
        (encrypted.amqp(WRONG), OTHER_HOST),
    ):
        with capture_logs() as logs:
            link = AmqpLink([url], _nothing_to_set_up, "test")
            link.start()
            await asyncio.sleep(0.5)
            await link.close()
        assert not link.up
        assert any(reason in line.get("reason", "") for line in logs), logs


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_commands_use_tls_and_say_why_they_refuse(encrypted: Encrypted) -> None:
    good, bad = encrypted.environment(), encrypted.environment(encrypted.other_ca)
    done = command(good, "services.auth", "migrate")
    assert done.returncode == 0, done.stderr
    assert OTHER_CA in command(bad, "services.auth", "migrate").stderr
    send = ["services.sms", "ledger", "show", "nobody"]
    assert "does not answer" not in command(good, *send).stderr
    assert OTHER_CA in command(bad, *send).stderr
    asyncio.run(_declare(encrypted.amqp()))
    done = command(good, "services.sms", "queue", "status", "--json")
    assert json.loads(done.stdout), done.stderr
    assert (
        OTHER_CA in command(bad | {"REDIS_URL": encrypted.redis()}, "services.sms", "queue", "status").stderr
    )


async def _declare(url: str) -> None:
    """Declare the queues, as the worker does."""
    from shared.amqp.topology import declare_sms_topology, declare_wait_queues  # noqa: PLC0415

    async def set_up(connection: AbstractConnection) -> None:
        channel = await connection.channel()
        await declare_sms_topology(channel)
        await declare_wait_queues(channel, (5.0, 15.0, 60.0))

    link = AmqpLink([url], set_up, "test")
    link.start()
    async with asyncio.timeout(20):
        await link.wait_up()
    await link.close()


async def _nothing_to_set_up(_connection: AbstractConnection) -> None:
    return
