"""The simulator shows codes without a password: only this machine's own pages and programs may call it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = HTTPServer(make_app(SimulatorSettings(simulator_allowed_hosts="simulator, sms.test")))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


async def status(session: aiohttp.ClientSession, method: str, url: str, **headers: str) -> int:
    async with session.request(method, url, headers=headers, data=b'{"fault": "drop"}') as response:
        return response.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8899", "LOCALHOST:8899", "localhost.", "inbox.localhost", "127.0.0.1",
        "127.0.0.1:8899", "[::1]:8899", "192.0.2.7:8899", "simulator:8899", "Simulator", "sms.test",
    ],
)  # fmt: skip
async def test_localhost_addresses_and_listed_names_are_answered(
    session: aiohttp.ClientSession, url: str, host: str
) -> None:
    assert await status(session, "GET", f"{url}/_inbox", Host=host) == 200


@pytest.mark.parametrize(
    "path", ["/", "/_inbox", "/_account?account=first", "/healthz", "/nowhere", "/v2/user/get.json"]
)
@pytest.mark.parametrize(
    "host",
    [
        "attacker.example", "attacker.example:8899", "localhost.attacker.example", "notlocalhost",
        "127.0.0.1.nip.io", "127.0.0.1.attacker.example", "simulator.attacker.example", "127.1", "0x7f.1",
        "attacker.example.", "attacker.example.:8899",
    ],
)  # fmt: skip
async def test_a_name_that_was_rebound_to_this_machine_is_refused(
    session: aiohttp.ClientSession, url: str, path: str, host: str
) -> None:
    assert await status(session, "GET", url + path, Host=host) == 421
    assert await status(session, "POST", url + path, Host=host) == 421


async def test_an_unknown_path_is_not_found(session: aiohttp.ClientSession, url: str) -> None:
    assert await status(session, "GET", f"{url}/nowhere") == 404


async def test_a_page_of_another_site_cannot_script_faults(session: aiohttp.ClientSession, url: str) -> None:
    faults = f"{url}/_faults"
    assert await status(session, "POST", faults, Origin="https://attacker.example") == 403
    assert await status(session, "POST", faults, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert await status(session, "POST", faults, Origin=url) == 201
    assert await status(session, "POST", faults) == 201
