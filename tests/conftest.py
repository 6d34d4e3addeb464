"""Real servers for the whole run, started when first asked for; fresh connections for each test."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from redis.asyncio import Redis

from deploy.local.programs import ensure_programs
from deploy.local.servers import Servers, start_all, stop_all, throwaway
from services.auth.db.database import Database
from shared.redis import client as redis_client
from tests.support.client import Api, Phone
from tests.support.isolation import place_apart
from tests.support.provider import Simulator, running_simulator
from tests.support.system import System, make_system, run


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Private MariaDB, Redis and RabbitMQ, thrown away afterwards."""
    ensure_programs()
    fleet = throwaway(tmp_path_factory.mktemp("servers"))
    start_all(fleet.all)
    yield fleet
    stop_all(fleet.all)


@pytest.fixture(scope="session")
def mysql_url(servers: Servers) -> str:
    """A migrated database."""
    run("services.auth", "migrate", env={"MYSQL_URL": servers.mariadb.url})
    return servers.mariadb.url


@pytest.fixture
async def database(mysql_url: str) -> AsyncIterator[Database]:
    """The database, by connections of the test's own."""
    database = Database(mysql_url, pool_size=8)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def system(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system as processes, shared by the tests that leave it as it is, in a place of its own."""
    place = place_apart(servers, "system")
    running = make_system(servers, place["MYSQL_URL"], tmp_path_factory.mktemp("system"), **place)
    running.start()
    yield running
    statuses = running.stop()
    assert set(statuses.values()) == {0}, statuses


@pytest.fixture
async def system_redis(system: System) -> AsyncIterator[Redis]:
    """The Redis of the shared system."""
    client = redis_client.connect(system.env["REDIS_URL"])
    yield client
    await client.aclose()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the test's own."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def api(session: aiohttp.ClientSession, system: System) -> Api:
    """The public API of the shared system."""
    return Api(session, system.url)


@pytest.fixture
def phone(session: aiohttp.ClientSession, system: System) -> Phone:
    """The phones that the shared system's texts reach."""
    return Phone(session, system.simulator_url)


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    client = redis_client.connect(servers.redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def simulator(session: aiohttp.ClientSession) -> AsyncIterator[Simulator]:
    """A simulator of the test's own."""
    async with running_simulator(session) as simulator:
        yield simulator
