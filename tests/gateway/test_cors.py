"""Allowed origins, and the CORS headers of responses and preflights."""

import pytest

from services.gateway.cors import CorsPolicy, parse_origin_pattern
from tests.support.client import Api
from tests.support.gateway import OK, ORIGIN, StubUpstream


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com", "https://app.example.com"),
        ("https://*.example.com", "https://a.example.com"),
        ("https://*.example.com", "https://a.b.example.com"),
        ("https://*.example.com:8443", "https://a.example.com:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_a_listed_origin_is_allowed(pattern: str, origin: str) -> None:
    assert dict(CorsPolicy([pattern]).headers(origin))["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3001"),
        ("http://localhost:3000", "https://localhost:3000"),
        ("https://app.example.com", "https://appXexample.com"),
        ("https://app.example.com", "https://app.example.com.evil.com"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "https://a.example.com:8443"),
        ("https://*.example.com", "https://evil.com/.example.com"),
        ("https://app.example.com", "null"),
        ("https://*.example.com", f"https://{'a.' * 200}example.com"),
    ],
)
def test_any_other_origin_gets_only_vary(pattern: str, origin: str) -> None:
    policy = CorsPolicy([pattern])
    assert policy.headers(origin) == policy.preflight_headers(origin) == (("Vary", "Origin"),)


@pytest.mark.parametrize("pattern", ["*", "app.example.com", "https://a.*.com", "https://x/", "ftp://x", ""])
def test_a_malformed_origin_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        parse_origin_pattern(pattern)


@pytest.mark.parametrize("origin", [ORIGIN, "https://a.example.org", "https://a.b.example.org"])
async def test_a_preflight_is_answered_by_the_gateway(client: Api, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    reply = await client.call("OPTIONS", "/code/", headers=headers)
    assert reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    assert int(reply.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "https://example.org", "https://app.example.com.evil.com", "null"]
)
async def test_an_unlisted_origin_gets_no_cors_header(
    client: Api, upstream: StubUpstream, origin: str
) -> None:
    upstream.response = OK.replace(b"\r\n\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n", 1)
    for method in ("GET", "OPTIONS"):
        reply = await client.call(method, "/code/", headers={"Origin": origin})
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
        assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize(("path", "status"), [("/login/", 503), ("/nowhere/", 404)])
async def test_problem_documents_have_cors_headers(client: Api, path: str, status: int) -> None:
    reply = await client.post(path, {}, headers={"Origin": ORIGIN})
    assert reply.status == status
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = {name.strip() for name in reply.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"X-Request-ID", "Retry-After"}
