"""A gateway in the test's own process, and what stands behind it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.client import Api
from tests.support.gateway import ORIGIN, Gateway, Upstream, running_gateway


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
