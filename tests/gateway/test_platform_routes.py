"""A platform's own services behind the gateway, by GATEWAY_ROUTES."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from services.gateway.platform_routes import parse_routes
from tests.support.client import Api
from tests.support.gateway import Gateway, Upstream, running_gateway
from tests.support.signer import JWKS, Signer, assert_refused, ready, until


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.fixture(name="orders")
async def _orders() -> AsyncIterator[Upstream]:
    orders = Upstream()
    async with orders.listening(free_port()):
        yield orders


@pytest.fixture(name="gateway")
async def _gateway(orders: Upstream, signer: Signer) -> AsyncIterator[Gateway]:
    url = f"http://127.0.0.1:{orders.port}"
    routes = parse_routes(
        f"/orders={url};timeout=0.5;max_body=100, /orders/public={url};token=none,"
        f"/news={url};token=optional, /uploads={url};token=none;max_body=3000000"
    )
    auth = Upstream()
    auth.told[JWKS] = signer.keys.jwks()
    async with (
        auth.listening(free_port()),
        running_gateway(auth.port, gateway_routes=routes) as gateway,
    ):
        await until(lambda: ready(gateway))
        yield gateway


async def test_a_required_token_is_required_and_tells_who_asks(
    edge: Api, orders: Upstream, signer: Signer
) -> None:
    assert_refused(await edge.get("/orders/7"), token_given=False)
    assert not orders.requests
    assert (await edge.get("/orders/7?a=b", token=signer.token())).status == 200
    assert orders.requests[0].startswith(b"GET /orders/7?a=b HTTP/1.1\r\n")
    assert b"X-User-ID: 42\r\nX-Session-ID: s1\r\n" in orders.requests[0]


async def test_an_optional_token_may_be_missing_but_not_bad(
    edge: Api, orders: Upstream, signer: Signer
) -> None:
    assert (await edge.get("/news", headers={"X-User-ID": "7"})).status == 200
    assert b"x-user-id" not in orders.requests[0].lower()
    assert (await edge.get("/news", token=signer.token())).status == 200
    assert b"X-User-ID: 42\r\n" in orders.requests[1]
    assert_refused(await edge.get("/news", token="nonsense"), token_given=True)
    assert len(orders.requests) == 2


async def test_a_route_without_tokens_tells_nobody_who_asks(
    edge: Api, orders: Upstream, signer: Signer
) -> None:
    assert (await edge.get("/orders/public/", token=signer.token())).status == 200
    assert b"x-user-id" not in orders.requests[0].lower()


@pytest.mark.parametrize(
    "path",
    [
        "/orders", "/orders/", "/orders/publicity", "/orders/%70ublicity", "/%6frders/", "/orders;a=b/",
        "/orders;/publicx",
    ],
)  # fmt: skip
async def test_a_path_in_disguise_meets_the_rule_of_what_it_stands_for(
    gateway: Gateway, orders: Upstream, path: str
) -> None:
    answer = await gateway.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401")
    assert not orders.requests


@pytest.mark.parametrize(
    "path",
    [
        "/orders/public/../7", "/orders/public/%2e%2e/7", "/orders/public/..%2f7", "/orders//public",
        "/orders/public\\..\\7", "/orders/public/%5c7", "/order", "/ordersx",
    ],
)  # fmt: skip
async def test_a_tricky_or_unknown_path_reaches_nobody(gateway: Gateway, orders: Upstream, path: str) -> None:
    answer = await gateway.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert not orders.requests


async def test_a_route_has_a_time_limit_of_its_own(edge: Api, orders: Upstream, signer: Signer) -> None:
    async def sleep(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    orders.script = sleep
    assert (await edge.get("/orders/", token=signer.token())).status == 504


async def test_a_route_has_a_body_limit_of_its_own(edge: Api, orders: Upstream, signer: Signer) -> None:
    token = {"Authorization": f"Bearer {signer.token()}"}
    assert (await edge.call("POST", "/orders/", data=b"x" * 100, headers=token)).status == 200
    assert (await edge.call("POST", "/orders/", data=b"x" * 101, headers=token)).status == 413
    assert (await edge.call("POST", "/uploads/", data=BytesIO(b"x" * 3_000_000))).status == 200
    assert (await edge.call("POST", "/uploads/", data=BytesIO(b"x" * 3_000_001))).status == 413
    assert [len(request.partition(b"\r\n\r\n")[2]) for request in orders.requests] == [100, 3_000_000]
