"""Servers whose connections are cut, refused or hang under load; the clients' side is audited afterwards.

The short mode cuts the connections of all servers, one after the other, in one run; `make chaos` has a run
per server and fault.
"""

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from deploy.local.server import Server
from deploy.local.servers import Servers
from tests.chaos.clients import Clients, Customer
from tests.chaos.mode import LONG
from tests.support.client import Api, Phone
from tests.support.cut_after import CutAfter
from tests.support.system import System, make_system

FAULT_SECONDS = 8 if LONG else 2
QUIET_SECONDS = 2 if LONG else 1
_FAILURES = re.compile(r'^dialpass_task_failures_total\{task="(.+)"\} (\d+)', re.MULTILINE)


@dataclass
class Place:
    """A running system with a proxy before each server."""

    servers: Servers
    system: System
    proxies: dict[str, CutAfter]
    redis: Redis

    def server(self, name: str) -> Server:
        return {"redis": self.servers.redis, "mysql": self.servers.mariadb}.get(name, self.servers.rabbitmq)

    def healthy(self) -> None:
        """Assert that every process is ready and alive, and that no background task has failed."""
        for process in (self.system.gateway, self.system.auth, self.system.sms):
            process.wait_for(200)
            for path in ("healthz", "metrics"):
                with urllib.request.urlopen(process.probe.replace("readyz", path), timeout=5) as response:
                    assert response.status == 200
                    failed = _FAILURES.findall(response.read().decode())
            assert [task for task in failed if task[1] != "0"] == [], process.log.read_text()[-4000:]


@pytest.fixture
async def place(servers: Servers, mysql_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        urls = {"redis": servers.redis.url, "mysql": mysql_url, "rabbitmq": servers.rabbitmq.url}
        proxies = {name: await stack.enter_async_context(CutAfter(url)) for name, url in urls.items()}
        system = make_system(
            servers, proxies["mysql"].url, tmp_path,
            REDIS_URL=proxies["redis"].url, AMQP_URL=proxies["rabbitmq"].url,
        )  # fmt: skip
        await asyncio.to_thread(system.start)
        redis = await stack.enter_async_context(Redis.from_url(servers.redis.url))
        yield Place(servers, system, proxies, redis)
        for server in servers.all:
            server.resume()
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(system.stop)


async def cut(place: Place, name: str) -> None:
    """Cut all connections again and again."""
    for turn in range(FAULT_SECONDS * 4):
        await place.proxies[name].cut_all("reset" if turn % 2 else "end")
        await asyncio.sleep(0.25)


async def refuse(place: Place, name: str) -> None:
    """Cut all connections, and reset new ones."""
    place.proxies[name].refusing = True
    await place.proxies[name].cut_all("reset")
    await asyncio.sleep(FAULT_SECONDS)
    place.proxies[name].refusing = False


async def hang(place: Place, name: str) -> None:
    """Have the server neither answer nor end anything."""
    place.server(name).pause()
    await asyncio.sleep(FAULT_SECONDS)
    place.server(name).resume()


async def flood(place: Place, _name: str) -> None:
    """Have Redis refuse new connections because there are too many."""
    before = (await place.redis.config_get("maxclients"))["maxclients"]
    await place.redis.config_set("maxclients", "2")
    for _ in range(FAULT_SECONDS * 2):
        await place.redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.5)
    await place.redis.config_set("maxclients", str(before))


Fault = Callable[[Place, str], Awaitable[None]]
FAULTS: list[tuple[Fault, tuple[str, ...]]] = [
    (fault, (name,)) for fault in (cut, refuse, hang) for name in ("redis", "mysql", "rabbitmq")
]
FAULTS.append((flood, ("redis",)))
SHORT: list[tuple[Fault, tuple[str, ...]]] = [(cut, ("redis", "mysql", "rabbitmq"))]


@pytest.mark.parametrize(
    ("fault", "names"), FAULTS if LONG else SHORT,
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value.__name__,
)  # fmt: skip
async def test_nothing_that_was_acknowledged_is_lost_and_nobody_gets_a_500(
    place: Place, own_session: aiohttp.ClientSession, fault: Fault, names: tuple[str, ...]
) -> None:
    clients = Clients(Api(own_session, place.system.url), Phone(own_session, place.system.simulator_url))
    async with clients.busy():
        await asyncio.sleep(QUIET_SECONDS)
        for name in names:
            await fault(place, name)
            await asyncio.sleep(QUIET_SECONDS)
    await asyncio.to_thread(place.healthy)
    done = [await clients.serve(Customer(), patience=1) for _ in range(10)]
    assert all(done), clients.answers
    assert clients.burned == 0, clients.answers
    await clients.audit()
    assert len([customer for customer in clients.customers if customer.registered]) > 10, clients.answers
