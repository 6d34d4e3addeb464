"""Connections of a test's own to the shared servers."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deploy.local.fleet import Servers
from shared import redis_client
from shared.metrics import AuthMetrics, new_registry


@pytest.fixture
def auth_metrics() -> AuthMetrics:
    return AuthMetrics(new_registry())


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    client = redis_client.connect(servers.redis.url)
    yield client
    await client.aclose()
