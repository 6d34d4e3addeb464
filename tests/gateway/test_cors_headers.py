"""What the gateway tells browsers of other origins."""

import pytest

from tests.support.client import Api
from tests.support.gateway import OK, ORIGIN, Upstream


@pytest.mark.parametrize("origin", [ORIGIN, "https://a.example.org", "https://a.b.example.org"])
async def test_a_preflight_is_answered_without_the_upstream(edge: Api, origin: str) -> None:
    asking = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    reply = await edge.call("OPTIONS", "/code/", headers=asking)
    assert reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    assert int(reply.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "https://example.org", "https://app.example.com.evil.com", "null"]
)
async def test_an_unlisted_origin_gets_no_cors_header(edge: Api, upstream: Upstream, origin: str) -> None:
    upstream.answer = OK.replace(b"\r\n\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n", 1)
    for method in ("GET", "OPTIONS"):
        reply = await edge.call(method, "/code/", headers={"Origin": origin})
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
        assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize(("path", "status"), [("/login/", 503), ("/nowhere/", 404)])
async def test_errors_of_the_gateway_carry_cors_headers(edge: Api, path: str, status: int) -> None:
    reply = await edge.post(path, {}, headers={"Origin": ORIGIN})
    assert reply.status == status
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = {name.strip() for name in reply.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"X-Request-ID", "Retry-After"}
