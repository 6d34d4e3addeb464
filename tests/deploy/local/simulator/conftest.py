"""An account with a clock that tests set, and the simulator behind a URL."""

import itertools
from collections.abc import AsyncIterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from deploy.local.simulator.account import Account
from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings
from tests.support.provider import KEY
from tests.support.simulated_account import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account("first", SimulatorSettings(), clock, itertools.count(1))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = HTTPServer(make_app(SimulatorSettings(yunpian_api_key=KEY, voice_hours="00:00-24:00")))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()
