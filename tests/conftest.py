"""Real servers for the whole run, started on first use; new connections for each test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from deploy.local.private import TEMPORARY_VARIABLES
from deploy.local.programs import ensure_programs
from deploy.local.servers import Servers, start_all, stop_all, throwaway
from services.auth.db.database import Database
from shared.redis import client as redis_client
from shared.running_system import FOLDER_VARIABLE
from tests.support.client import Api, Phone
from tests.support.isolation import isolated_urls
from tests.support.provider import Simulator, running_simulator
from tests.support.proxies import TcpProxy
from tests.support.system import DEVELOPMENT, System, make_system, run

os.environ.update(DEVELOPMENT)

_FOLDER = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep the files of this run, and of all processes that it starts, out of the reach of other runs.

    pytest's own folders have a common parent, whose oldest entries each run deletes.
    """
    folder = config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="dialpass-tests-"))
    config.option.basetemp = config.option.basetemp or str(folder / "pytest")
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ.update(dict.fromkeys(TEMPORARY_VARIABLES, str(temporary)))
    tempfile.tempdir = None  # read again from the environment
    # Commands would find a system that `make run` runs in this checkout.
    os.environ[FOLDER_VARIABLE] = str(folder / "run")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove the folder, unless something in it may say why a test failed."""
    folder = session.config.stash.get(_FOLDER, None)
    if folder is not None and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(folder, ignore_errors=True)


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
