"""Real servers for the whole run, started on first use; new connections for each test."""

import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from redis.asyncio import Redis

from deploy.local.programs import ensure_programs
from deploy.local.servers import Servers, start_all, stop_all, throwaway
from services.auth.db.database import Database
from shared.redis import client as redis_client
from tests.support.client import Api, Phone
from tests.support.isolation import isolated_urls
from tests.support.provider import Simulator, running_simulator
from tests.support.proxies import TcpProxy
from tests.support.system import DEVELOPMENT, System, make_system, run

os.environ.update(DEVELOPMENT)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Private MariaDB, Redis and RabbitMQ, deleted afterwards."""
    ensure_programs()
    started = throwaway(tmp_path_factory.mktemp("servers"))
    start_all(started.all)
    yield started
    stop_all(started.all)


@pytest.fixture(scope="session")
def mysql_url(servers: Servers) -> str:
    """A migrated database."""
    run("services.auth", "migrate", env={"MYSQL_URL": servers.mariadb.url})
    return servers.mariadb.url


@pytest.fixture
async def database(mysql_url: str) -> AsyncIterator[Database]:
    """The database, with the test's own connections."""
    database = Database(mysql_url, pool_size=8)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def system(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system as processes, isolated on the servers, for tests that do not break it."""
    urls = isolated_urls(servers, "system")
    running = make_system(servers, urls["MYSQL_URL"], tmp_path_factory.mktemp("system"), **urls)
    running.start()
    yield running
    statuses = running.stop()
    assert set(statuses.values()) == {0}, statuses


@pytest.fixture
async def system_redis(system: System) -> AsyncIterator[Redis]:
    """The Redis database of the shared system."""
    client = redis_client.connect(system.env["REDIS_URL"])
    yield client
    await client.aclose()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client session."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def api(session: aiohttp.ClientSession, system: System) -> Api:
    """The public API of the shared system."""
    return Api(session, system.url)


@pytest.fixture
def phone(session: aiohttp.ClientSession, system: System) -> Phone:
    """The phones that receive the shared system's texts."""
    return Phone(session, system.simulator_url)


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    client = redis_client.connect(servers.redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def simulator(session: aiohttp.ClientSession) -> AsyncIterator[Simulator]:
    """A simulator for one test."""
    async with running_simulator(session) as simulator:
        yield simulator


@pytest.fixture
async def redis_proxy(servers: Servers) -> AsyncIterator[TcpProxy]:
    """A way to Redis on which connections can be cut or held."""
    async with TcpProxy(servers.redis.url) as proxy:
        yield proxy
