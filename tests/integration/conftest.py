"""Connections of a test's own to the shared servers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aio_pika
import aiohttp
import pytest
from aio_pika.abc import AbstractChannel
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.local.fleet import Servers
from services.auth.database import Database
from services.auth.domain import NewUser
from services.auth.events import MysqlEvents
from services.auth.sessions import MysqlSessions
from services.auth.users import MysqlUsers
from services.sms.provider_setup import ProviderParts, open_provider
from shared import redis_client
from shared.amqp import DEAD_QUEUE, declare_sms_topology
from shared.metrics import AuthMetrics, ProviderMetrics, new_registry
from tests.client import Api, new_mobile
from tests.fakes import NOW
from tests.integration.gateway import ORIGIN, Gateway, Upstream, running_gateway
from tests.integration.provider import OpenWorker, Simulator, provider_settings, running_simulator
from tests.system import System


@pytest.fixture
def auth_metrics() -> AuthMetrics:
    return AuthMetrics(new_registry())


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


@pytest.fixture
def own_redis_url(servers: Servers) -> str:
    """A database that no other worker sees: all workers of one share halts, money and slots."""
    return f"{servers.redis.url.rpartition('/')[0]}/9"


@pytest.fixture
async def own_redis(own_redis_url: str) -> AsyncIterator[Redis]:
    """The same database, empty."""
    client = redis_client.connect(own_redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
async def open_worker(own_redis: Redis, simulator: Simulator) -> AsyncIterator[OpenWorker]:
    """Opens workers' providers on one Redis that knows nothing yet; numbers may be texted at will."""
    for account in ("first", "second"):
        await simulator.set_account(account, limits=False)
    async with AsyncExitStack() as stack:

        async def open_worker(registry: CollectorRegistry | None = None, **settings: Any) -> ProviderParts:
            metrics = ProviderMetrics(registry or CollectorRegistry())
            return await open_provider(
                provider_settings(simulator.url, **settings), own_redis, metrics, stack
            )

        yield open_worker


@pytest.fixture
def sessions(database: Database) -> MysqlSessions:
    return MysqlSessions(database, MysqlEvents(database))


@pytest.fixture
async def user_id(database: Database) -> int:
    """An account."""
    return await MysqlUsers(database).add(NewUser(new_mobile(), None, None, None, NOW))


@pytest.fixture
async def dead_queue(system: System) -> AsyncIterator[AbstractChannel]:
    """A channel to the dead queue, which is empty."""
    connection = await aio_pika.connect(system.env["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await declare_sms_topology(channel)
        await (await channel.get_queue(DEAD_QUEUE)).purge()
        yield channel


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway in this process, impatient with its upstream."""
    origins = (ORIGIN, "https://*.example.org")
    async with running_gateway(cors_origins=origins, upstream_timeout=0.5) as gateway:
        yield gateway


@pytest.fixture
async def upstream(gateway: Gateway) -> AsyncIterator[Upstream]:
    """What stands behind that gateway in place of every service."""
    upstream = Upstream()
    async with upstream.listening(gateway.upstream_port):
        yield upstream


@pytest.fixture
def edge(session: aiohttp.ClientSession, gateway: Gateway) -> Api:
    """A client of that gateway."""
    return Api(session, gateway.url)
