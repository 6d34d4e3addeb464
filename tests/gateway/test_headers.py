"""Which headers of clients reach services, and the security headers of all responses."""

import asyncio
import json

import pytest
from tornado.httputil import HTTPHeaders

from services.gateway.headers import encode_request
from tests.support.client import Api
from tests.support.gateway import OK, Gateway, StubUpstream

CLAIMS = [
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
    "X-Forwarded-User", "X-Forwarded-Uri", "X-Forwarded-Client-Cert", "X-Forwarded",
    "X-Forwarded-Anything-New", "Forwarded", "Forwarded-For", "Forwarded-For-IP", "X-Forward-For",
    "X-Real-IP", "X-Client-IP", "Client-IP", "X-ClientIP", "X-Remote-IP", "X-Remote-Addr", "Remote-Addr",
    "X-Originating-IP", "X-Source-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4",
    "CF-IPCountry", "CF-Visitor", "True-Client-IP", "X-True-Client-IP", "X-Cluster-Client-IP",
    "Fastly-Client-IP", "Fly-Client-IP", "WL-Proxy-Client-IP", "Proxy-Client-IP", "X-ProxyUser-Ip",
    "Ali-CDN-Real-IP", "Cdn-Src-Ip", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP",
    "X-Envoy-External-Address", "X-Envoy-Original-Path", "X-Client-Host", "X-Remote-Port", "X-User-ID",
    "X-User-Name", "X-User-Roles", "X-User", "X-Session-ID", "X-Auth-Time", "X-Auth-User",
    "X-Auth-Request-Email", "X-Remote-User", "Remote-User", "Remote-Groups", "X-Authenticated-Userid",
    "X-Consumer-Username", "X-Credential-Identifier", "X-Userinfo", "X-WebAuth-User", "X-Amzn-Oidc-Data",
    "X-Goog-Authenticated-User-Email", "X-MS-Client-Principal-Name", "Impersonate-User", "X-Roles",
    "X-SSL-Client-Verify", "SSL-Client-S-DN", "X-Client-Cert", "Client-Cert", "Client-Cert-Chain",
    "X-Original-URL", "X-Original-URI", "X-Original-Host", "X-Original-Method", "X-Original-Forwarded-For",
    "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method", "X-Host",
    "X-HTTP-Host-Override", "X-HTTP-Path-Override", "X-Proxy-URL", "Request-Uri", "X-Uri", "X-Script-Name",
    "X-Scheme", "X-URL-Scheme", "Front-End-Https", "Proxy", "HTTP-X-Forwarded-For",
    "X-Middleware-Subrequest", "X-Invoke-Path", "X-Matched-Path", "X-Sendfile-Type", "X-Accel-Mapping",
    "X-Accel-Redirect",
]  # fmt: skip
SPELLED_ODDLY = [
    "X_User_Id",
    "X.User.Id",
    "X~User~Id",
    "X-Real_IP",
    "X'Real'IP",
    "X!Real!IP",
    "x-" + "a" * 100,
]
HARMLESS = [
    "Accept", "Accept-Language", "Content-Type", "Cookie", "User-Agent", "X-User-Agent",
    "X-Requested-With", "X-Auth-Token", "X-Client-ID", "X-Client-Version", "X-Tenant-ID", "X-CSRF-Token",
    "Traceparent", "Tracestate", "If-None-Match", "Range", "Referer", "Sec-Fetch-Site", "X-Trip",
    "X-B3-TraceId", "X-Idempotency-Key", "Idempotency-Key", "X-Session-Token", "X-API-Key", "DNT", "Via",
    "X-Hub-Signature-256", "X-GitHub-Event",
]  # fmt: skip


def forwarded_names(*names: str) -> set[str]:
    """Return the names, in lower case, of those headers that a service gets beside the gateway's own."""
    headers = HTTPHeaders()
    for name in names:
        headers.add(name, "claimed")
    request = encode_request(
        "GET", "/", headers, b"", host="x", client="192.0.2.1", identity="", request_id="r",
        forward_authorization=False,
    )  # fmt: skip
    lines = request.decode().lower().split("\r\n")
    return {line.partition(":")[0] for line in lines if line.endswith(": claimed")}


@pytest.mark.parametrize("name", [*CLAIMS, *SPELLED_ODDLY])
def test_a_header_by_which_clients_could_claim_something_is_not_forwarded(name: str) -> None:
    assert forwarded_names(name, name.lower(), name.upper()) == set()


def test_other_headers_are_forwarded() -> None:
    assert forwarded_names(*HARMLESS) == {name.lower() for name in HARMLESS}


def test_a_header_that_connection_lists_is_not_forwarded() -> None:
    headers = HTTPHeaders(
        {"Connection": "close, x-1a-b, X-Other", "X-1a-B": "1", "x-other": "2", "X-Third": "3"}
    )
    request = encode_request(
        "GET", "/", headers, b"", host="x", client="", identity="", request_id="r", forward_authorization=True
    )
    assert b"X-Third: 3" in request
    assert b"x-1a-b" not in request.lower()
    assert b"x-other" not in request.lower()


async def test_claims_do_not_reach_a_service(client: Api, upstream: StubUpstream) -> None:
    reply = await client.get("/code/", headers=dict.fromkeys([*CLAIMS, *SPELLED_ODDLY], "6.6.6.6"))
    assert reply.status == 200
    assert b"6.6.6.6" not in upstream.requests[0]


SECURITY = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/code/", 200),
        ("HEAD", "/code/", 200),
        ("OPTIONS", "/code/", 204),
        ("GET", "/nowhere/", 404),
        ("GET", "/me/", 401),
        ("GET", "/", 200),
        ("GET", "/docs/nothing", 404),
        ("POST", "/docs/", 405),
    ],
)
async def test_every_response_has_the_security_headers_once(
    client: Api, upstream: StubUpstream, method: str, path: str, status: int
) -> None:
    if method == "HEAD":
        upstream.response = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
    async with client.session.request(method, client.url + path) as reply:
        assert reply.status == status
        for name, value in SECURITY.items():
            assert reply.headers.getall(name) == [value]
        assert "frame-ancestors" in reply.headers["Content-Security-Policy"]
        assert ("default-src 'none'" in reply.headers["Content-Security-Policy"]) == (status >= 204)


@pytest.mark.usefixtures("gateway")
async def test_a_problem_of_an_absent_service_has_them_too(client: Api) -> None:
    reply = await client.post("/login/", {})
    assert reply.status == 503
    assert dict(reply.headers).items() >= SECURITY.items()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_services_own_security_headers_are_left_alone(
    client: Api, upstream: StubUpstream, *, chunked: bool
) -> None:
    own = b"\r\ncontent-security-policy: default-src 'self'\r\nX-CONTENT-TYPE-OPTIONS: own\r\n\r\n"
    upstream.response = OK.replace(b"\r\n\r\n", own, 1)
    if chunked:
        body = b"2\r\n{}\r\n0\r\n\r\n"
        upstream.response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + own + body
    reply = await client.get("/code/")
    assert reply.headers.getall("Content-Security-Policy") == ["default-src 'self'"]
    assert reply.headers.getall("X-Content-Type-Options") == ["own"]
    assert reply.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]


async def test_the_operators_port_has_them_too(gateway: Gateway, client: Api) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        async with client.session.get(gateway.ops_url + path) as reply:
            assert dict(reply.headers).items() >= SECURITY.items()


async def test_a_log_line_names_the_client_by_a_pseudonym(
    client: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("/nowhere/", "/me/"):
        await client.get(path)
    await asyncio.sleep(0.2)
    output = capsys.readouterr().out
    lines = [json.loads(line) for line in output.splitlines() if '"event": "request"' in line]
    assert len({line["client"] for line in lines}) == 1
    assert len(lines) == 2
    assert "127.0.0.1" not in output
