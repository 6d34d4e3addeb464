"""The secret by which auth recognises the gateway."""

import aiohttp
import pytest
from pydantic import SecretStr

from deploy.local.ports import free_port
from services.gateway.routes import parse_route_settings
from shared.http import gateway_secret
from tests.support.client import Api
from tests.support.gateway import StubUpstream, running_gateway

SECRET, OLD = "n" * 40, "o" * 40
LINE = f"{gateway_secret.HEADER}: ".encode()


@pytest.mark.parametrize("own", ["x-dialpass-gateway", "X-Dialpass-Gateway", "X-DIALPASS-GATEWAY"])
async def test_auth_gets_the_gateways_secret_and_never_a_clients(
    session: aiohttp.ClientSession, own: str
) -> None:
    upstream = StubUpstream()
    async with (
        running_gateway(gateway_secret=SecretStr(f"{SECRET},{OLD}")) as gateway,
        upstream.listening(gateway.upstream_port),
    ):
        await Api(session, gateway.url).get("/code/x/", headers={own: "forged"})
    [request] = upstream.requests
    assert request.count(LINE) == 1
    assert LINE + SECRET.encode() in request
    assert b"forged" not in request
    assert OLD.encode() not in request


async def test_no_other_service_gets_it_from_the_gateway_or_from_a_client(
    session: aiohttp.ClientSession,
) -> None:
    auth, platform, port = StubUpstream(), StubUpstream(), free_port()
    routes = parse_route_settings(f"/orders=http://127.0.0.1:{port};token=none")
    async with (
        running_gateway(gateway_secret=SecretStr(SECRET), gateway_routes=routes) as gateway,
        auth.listening(gateway.upstream_port),
        platform.listening(port),
    ):
        await Api(session, gateway.url).get("/orders/1", headers={gateway_secret.HEADER: "forged"})
    [request] = platform.requests
    assert LINE.lower() not in request.lower()
    assert SECRET.encode() not in request


async def test_without_a_secret_none_is_sent(session: aiohttp.ClientSession) -> None:
    upstream = StubUpstream()
    async with running_gateway() as gateway, upstream.listening(gateway.upstream_port):
        await Api(session, gateway.url).get("/code/x/", headers={gateway_secret.HEADER: "forged"})
    [request] = upstream.requests
    assert gateway_secret.HEADER.lower().encode() not in request.lower()
