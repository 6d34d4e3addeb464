"""The setting GATEWAY_ROUTES."""

import pytest

from services.gateway.auth.authenticator import TokenRule
from services.gateway.platform_routes import PlatformRoute, parse_routes
from services.gateway.settings import GatewaySettings


def test_nothing_is_no_route() -> None:
    assert parse_routes("") == ()


def test_a_route_needs_a_token_unless_it_says_otherwise() -> None:
    assert parse_routes("/orders=http://orders:9000") == (PlatformRoute("/orders", "http://orders:9000"),)
    assert parse_routes("/orders=http://orders:9000")[0].token is TokenRule.REQUIRED


def test_routes_are_separated_by_commas_or_white_space() -> None:
    routes = parse_routes(
        "/a=http://a:1,/b=https://b/;token=none\n /c/d=http://[::1]:3;timeout=2.5;max_body=0,"
    )
    assert routes == (
        PlatformRoute("/a", "http://a:1"),
        PlatformRoute("/b", "https://b", TokenRule.NONE),
        PlatformRoute("/c/d", "http://[::1]:3", TokenRule.REQUIRED, 2.5, 0),
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
        ("/a=http://a;", "/a: an empty option is none of"),
    ],
)
def test_a_wrong_route_is_said_so(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_routes(text)


def test_the_start_says_what_is_wrong_with_a_route(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_ROUTES", "/orders=http://orders:9000;token=maybe")
    with pytest.raises(SystemExit):
        GatewaySettings.load()
    said = capsys.readouterr().err
    assert said.startswith("GATEWAY_ROUTES is malformed: /orders: token takes required, optional or none; ")
    assert len(said.splitlines()) == 1
