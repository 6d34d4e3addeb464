"""Auth is told how long the gateway waits; nobody else is, and no client can say it."""

import aiohttp
import pytest

from deploy.local.ports import free_port
from services.gateway.routes import parse_route_settings
from shared.http.deadline import HEADER, DeadlineReader
from tests.support.client import Api
from tests.support.gateway import StubUpstream, running_gateway


def given(request: bytes) -> list[str]:
    head = request.partition(b"\r\n\r\n")[0].decode("latin1")
    lines = [line.partition(": ") for line in head.split("\r\n")]
    return [value for name, _, value in lines if name.lower() == HEADER.lower()]


@pytest.mark.parametrize("own", [HEADER, HEADER.lower(), HEADER.upper()])
async def test_auth_gets_the_gateways_and_never_a_clients(
    client: Api, upstream: StubUpstream, own: str
) -> None:
    reader = DeadlineReader()
    for _ in range(2):
        await client.get("/code/x/", headers={own: "0000000000000000 1.000 10"})
    [first], [second] = (given(request) for request in upstream.requests)
    assert first.split()[0] == second.split()[0] != "0" * 16
    for value in (first, second):
        remaining = reader.remaining(value, lambda: True)
        assert remaining is not None
        assert 0 < remaining <= 0.5  # the time limit of this gateway


async def test_other_services_get_none(session: aiohttp.ClientSession) -> None:
    upstream, orders = StubUpstream(), StubUpstream()
    port = free_port()
    routes = parse_route_settings(f"/orders=http://127.0.0.1:{port};token=none")
    async with (
        running_gateway(gateway_routes=routes) as gateway,
        upstream.listening(gateway.upstream_port),
        orders.listening(port),
    ):
        await Api(session, gateway.url).get("/orders/", headers={HEADER: "0000000000000000 1.000 10"})
    [request] = orders.requests
    assert given(request) == []
