"""A gateway in front of a stub of the auth service."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.ports import free_port
from tests.support.gateway import JWKS_PATH, Gateway, StubUpstream, running_gateway, wait_until
from tests.support.signer import Signer


@pytest.fixture
async def upstream(signer: Signer) -> AsyncIterator[StubUpstream]:
    upstream = StubUpstream()
    upstream.documents[JWKS_PATH] = signer.keys.jwks()
    async with upstream.listening(free_port()):
        yield upstream


@pytest.fixture
async def gateway(upstream: StubUpstream) -> AsyncIterator[Gateway]:
    async with running_gateway(upstream.port) as gateway:
        await wait_until(gateway.is_ready)
        yield gateway
