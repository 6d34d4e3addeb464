"""A gateway in the test's own process, and its upstream."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.client import Api
from tests.support.gateway import ORIGIN, Gateway, StubUpstream, running_gateway
from tests.support.signer import Signer


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway with a short upstream timeout."""
    origins = (ORIGIN, "https://*.example.org")
    async with running_gateway(cors_origins=origins, upstream_timeout=0.5) as gateway:
        yield gateway


@pytest.fixture
async def upstream(gateway: Gateway) -> AsyncIterator[StubUpstream]:
    """The upstream of all routes of that gateway."""
    upstream = StubUpstream()
    async with upstream.listening(gateway.upstream_port):
        yield upstream


@pytest.fixture
def client(session: aiohttp.ClientSession, gateway: Gateway) -> Api:
    """A client of that gateway."""
    return Api(session, gateway.url)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """The signing key of the auth service."""
    return Signer(tmp_path / "keys")
