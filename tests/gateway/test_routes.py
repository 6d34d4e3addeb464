"""The setting GATEWAY_ROUTES, and requests to the services that it names."""

from collections.abc import AsyncIterator
from io import BytesIO

import pytest

from deploy.local.ports import free_port
from services.gateway.routes import RouteSetting, TokenRule, parse_route_settings
from services.gateway.settings import GatewaySettings
from tests.support.client import Api
from tests.support.gateway import (
    JWKS_PATH,
    Gateway,
    StubUpstream,
    never_answer,
    running_gateway,
    wait_until,
)
from tests.support.signer import Signer, assert_unauthorized


def test_an_empty_setting_has_no_routes() -> None:
    assert parse_route_settings("") == ()


def test_a_route_requires_a_token_by_default() -> None:
    assert parse_route_settings("/orders=http://orders:9000") == (
        RouteSetting("/orders", "http://orders:9000"),
    )
    assert parse_route_settings("/orders=http://orders:9000")[0].token is TokenRule.REQUIRED


def test_routes_are_separated_by_commas_or_white_space() -> None:
    routes = parse_route_settings(
        "/a=http://a:1,/b=https://b/;token=none\n /c/d=http://[::1]:3;timeout=2.5;max_body=0,"
    )
    assert routes == (
        RouteSetting("/a", "http://a:1"),
        RouteSetting("/b", "https://b", TokenRule.NONE),
        RouteSetting("/c/d", "http://[::1]:3", TokenRule.REQUIRED, 2.5, 0),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("orders=http://orders", "orders is no path"),
        ("/=http://orders", "/ is no path"),
        ("/orders/=http://orders", "/orders/ is no path"),
        ("/a/../b=http://orders", "is no path"),
        ("/orders", "/orders needs a URL"),
        ("/orders=orders:9000", "/orders needs a URL"),
        ("/orders=ftp://orders", "/orders needs a URL"),
        ("/orders=http://orders:x", "/orders needs a URL"),
        ("/orders=http://orders/v1", "/orders needs a URL without a path"),
        ("/orders=http://user:secret@orders", "/orders needs a URL"),
        ("/me=http://orders", "/me belongs to the gateway"),
        ("/me/orders=http://orders", "/me/orders belongs to the gateway"),
        ("/internal=http://orders", "/internal belongs to the gateway"),
        ("/a=http://a,/a=http://b", "/a appears twice"),
        ("/a=http://a;token=maybe", "/a: token takes required, optional or none"),
        ("/a=http://a;timeout=0", "/a: timeout takes seconds above 0"),
        ("/a=http://a;timeout=nan", "/a: timeout takes seconds above 0"),
        ("/a=http://a;timeout=301", "/a: timeout takes seconds above 0"),
        ("/a=http://a;max_body=-1", "/a: max_body takes bytes"),
        ("/a=http://a;max_body=17000000", "/a: max_body takes bytes"),
        ("/a=http://a;retries=3", "/a: retries is none of token, timeout, max_body"),
        ("/a=http://a;authorization=yes", "/a: authorization takes forward or drop"),
        ("/a/./b=http://a", "/a/./b is no path"),
        ("/a/...=http://a", "/a/... is no path"),
        ("/ME=http://a", "/ME belongs to the gateway"),
        ("/Internal./x=http://a", "/Internal./x belongs to the gateway"),
        ("/a=http://a;", "/a: an empty option is none of"),
    ],
)
def test_a_malformed_route_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_route_settings(text)


def test_a_malformed_route_is_reported_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_ROUTES", "/orders=http://orders:9000;token=maybe")
    with pytest.raises(SystemExit):
        GatewaySettings.load()
    said = capsys.readouterr().err
    assert said.startswith("GATEWAY_ROUTES is malformed: /orders: token takes required, optional or none; ")
    assert len(said.splitlines()) == 1


@pytest.fixture
async def orders() -> AsyncIterator[StubUpstream]:
    orders = StubUpstream()
    async with orders.listening(free_port()):
        yield orders


@pytest.fixture
async def gateway(orders: StubUpstream, signer: Signer) -> AsyncIterator[Gateway]:
    url = f"http://127.0.0.1:{orders.port}"
    routes = parse_route_settings(
        f"/orders={url};timeout=0.5;max_body=100, /orders/public={url};token=none,"
        f"/news={url};token=optional, /uploads={url};token=none;max_body=3000000,"
        f"/mail={url};authorization=forward, /shop={url};token=none;authorization=forward"
    )
    auth = StubUpstream()
    auth.documents[JWKS_PATH] = signer.keys.jwks()
    async with (
        auth.listening(free_port()),
        running_gateway(auth.port, gateway_routes=routes) as gateway,
    ):
        await wait_until(gateway.is_ready)
        yield gateway


async def test_a_required_token_is_required_and_its_identity_is_forwarded(
    client: Api, orders: StubUpstream, signer: Signer
) -> None:
    assert_unauthorized(await client.get("/orders/7"), token_given=False)
    assert not orders.requests
    assert (await client.get("/orders/7?a=b", token=signer.token())).status == 200
    assert orders.requests[0].startswith(b"GET /orders/7?a=b HTTP/1.1\r\n")
    assert b"X-User-ID: 42\r\nX-Session-ID: s1\r\n" in orders.requests[0]


async def test_an_optional_token_may_be_missing_but_not_invalid(
    client: Api, orders: StubUpstream, signer: Signer
) -> None:
    assert (await client.get("/news", headers={"X-User-ID": "7"})).status == 200
    assert b"x-user-id" not in orders.requests[0].lower()
    assert (await client.get("/news", token=signer.token())).status == 200
    assert b"X-User-ID: 42\r\n" in orders.requests[1]
    assert_unauthorized(await client.get("/news", token="nonsense"), token_given=True)
    assert len(orders.requests) == 2


async def test_a_route_without_tokens_forwards_no_identity(
    client: Api, orders: StubUpstream, signer: Signer
) -> None:
    assert (await client.get("/orders/public/", token=signer.token())).status == 200
    assert b"x-user-id" not in orders.requests[0].lower()


@pytest.mark.parametrize(
    "path",
    [
        "/orders", "/orders/", "/orders/publicity", "/orders/%70ublicity", "/%6frders/",
    ],
)  # fmt: skip
async def test_an_encoded_path_has_the_token_rule_of_the_decoded_one(
    gateway: Gateway, orders: StubUpstream, path: str
) -> None:
    response = await gateway.send_raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert response.startswith(b"HTTP/1.1 401")
    assert not orders.requests


@pytest.mark.parametrize(
    "path",
    [
        "/orders/public/../7", "/orders/public/%2e%2e/7", "/orders/public/..%2f7", "/orders//public",
        "/orders/public\\..\\7", "/orders/public/%5c7", "/order", "/ordersx", "/orders;a=b/",
        "/orders;/publicx",
    ],
)  # fmt: skip
async def test_an_ambiguous_or_unknown_path_is_not_forwarded(
    gateway: Gateway, orders: StubUpstream, path: str
) -> None:
    response = await gateway.send_raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert response.startswith(b"HTTP/1.1 404")
    assert not orders.requests


async def test_a_route_has_its_own_timeout(client: Api, orders: StubUpstream, signer: Signer) -> None:
    orders.handler = never_answer
    assert (await client.get("/orders/", token=signer.token())).status == 504


async def test_a_route_has_its_own_body_limit(client: Api, orders: StubUpstream, signer: Signer) -> None:
    token = {"Authorization": f"Bearer {signer.token()}"}
    assert (await client.call("POST", "/orders/", data=b"x" * 100, headers=token)).status == 200
    assert (await client.call("POST", "/orders/", data=b"x" * 101, headers=token)).status == 413
    assert (await client.call("POST", "/uploads/", data=BytesIO(b"x" * 3_000_000))).status == 200
    assert (await client.call("POST", "/uploads/", data=BytesIO(b"x" * 3_000_001))).status == 413
    assert [len(request.partition(b"\r\n\r\n")[2]) for request in orders.requests] == [100, 3_000_000]


@pytest.mark.parametrize("path", ["/orders/", "/orders/public/", "/news/"])
async def test_the_users_token_stays_at_the_gateway(
    client: Api, orders: StubUpstream, signer: Signer, path: str
) -> None:
    token = signer.token()
    for _ in range(2):  # verified, then from the cache
        assert (await client.get(path, token=token)).status == 200
    for request in orders.requests:
        assert b"authorization" not in request.lower()
        assert token.encode() not in request


@pytest.mark.parametrize("path", ["/mail/", "/shop/"])
async def test_a_route_can_have_the_token_forwarded(
    client: Api, orders: StubUpstream, signer: Signer, path: str
) -> None:
    token = signer.token()
    assert (await client.get(path, token=token)).status == 200
    assert f"Authorization: Bearer {token}\r\n".encode() in orders.requests[0]


async def test_another_scheme_is_forwarded_only_where_the_route_says_so(
    client: Api, orders: StubUpstream
) -> None:
    basic = {"Authorization": "Basic dXNlcjpwYXNz"}
    for path in ("/shop/", "/news/", "/orders/public/"):
        assert (await client.get(path, headers=basic)).status == 200
    assert [b"Authorization: Basic" in request for request in orders.requests] == [True, False, False]
