"""A system for each test, because the tests break it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local.servers import Servers
from tests.chaos.mode import LONG
from tests.support.client import Api, Phone
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.system import System, make_system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deselect long tests in the short mode."""
    if not LONG:
        items[:] = [item for item in items if item.get_closest_marker("long") is None]


@pytest.fixture
def own_system(servers: Servers, mysql_url: str, tmp_path: Path) -> Iterator[System]:
    """A started system on the shared servers, which are running again afterwards."""
    system = make_system(servers, mysql_url, tmp_path)
    system.start()
    yield system
    for server in servers.all:
        server.resume()
        server.start()
    system.stop()


@pytest.fixture
def own_session(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    return session


@pytest.fixture
def own_api(own_session: aiohttp.ClientSession, own_system: System) -> Api:
    return Api(own_session, own_system.url)


@pytest.fixture
def own_phone(own_session: aiohttp.ClientSession, own_system: System) -> Phone:
    return Phone(own_session, own_system.simulator_url)


@pytest.fixture
async def pipeline(servers: Servers, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """The SMS pipeline without workers; the servers are running again afterwards."""
    async with running_pipeline(servers, tmp_path) as running:
        yield running
    for server in servers.all:
        server.resume()
        await asyncio.to_thread(server.start)
