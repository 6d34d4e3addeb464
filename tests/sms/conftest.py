"""What the tests of the SMS worker share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.local.servers import Servers
from services.sms.provider.setup import ProviderParts, open_provider
from shared.amqp.topology import DEAD_QUEUE, declare_sms_topology
from shared.observability.metrics import ProviderMetrics
from shared.redis import client as redis_client
from tests.support.provider import OpenWorker, Simulator, provider_settings
from tests.support.system import System


@pytest.fixture
def own_redis_url(servers: Servers) -> str:
    """A database that no other worker sees: all workers of one share circuits, money and slots."""
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
async def dead_queue(system: System) -> AsyncIterator[AbstractChannel]:
    """A channel to the dead queue, which is empty."""
    connection = await aio_pika.connect(system.env["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await declare_sms_topology(channel)
        await (await channel.get_queue(DEAD_QUEUE)).purge()
        yield channel
