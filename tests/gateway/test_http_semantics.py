"""What HTTP says of methods, dates, tags, targets and expectations (RFC 9110, RFC 9112)."""

import re
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from tests.support.gateway import OK, ORIGIN, Gateway, StubUpstream
from tests.support.raw_http import RawClient, RawResponse, assert_raw_problem, raw_client

PAGES = ["/", "/docs/", "/openapi.json", "/docs/style.css", "/docs/swagger-ui-bundle.js"]


def request(start: str, *headers: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def ask(client: RawClient, start: str, *headers: str) -> RawResponse:
    client.send(request(start, *headers))
    return await client.response(head_only=start.startswith("HEAD") or "If-None-Match" in "".join(headers))


def without_changing(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in {"date", "x-request-id"}}


@pytest.mark.parametrize("path", [*PAGES, "/code/a1b2/", "/nowhere/", "/me/", "/callbacks/yunpian/s/"])
async def test_head_gets_the_headers_of_get_and_no_body(
    gateway: Gateway, upstream: StubUpstream, path: str
) -> None:
    async with raw_client(gateway.port) as client:
        expected = await ask(client, f"GET {path}")
        got = await ask(client, f"HEAD {path}")
        assert got.status == expected.status
        assert without_changing(got.headers) == without_changing(expected.headers)
        assert int(got.headers["content-length"]) == len(expected.body) > 0
        # The connection is in order.
        assert (await ask(client, "GET /docs/style.css")).status == 200


async def test_head_is_forwarded_as_head_and_keeps_the_connection(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    upstream.response = OK.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with raw_client(gateway.port) as client:
        for _ in range(3):
            assert (await ask(client, "HEAD /code/a1b2/")).headers["content-length"] == "11"
    assert [sent.split()[0] for sent in upstream.requests] == [b"HEAD"] * 3


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/login/", "POST, OPTIONS"),
        ("/sessions/", "GET, HEAD, DELETE, OPTIONS"),
        ("/code/a1b2/", "GET, HEAD, OPTIONS"),
        ("/.well-known/jwks.json", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/callbacks/yunpian/secret/", "POST, OPTIONS"),
        ("*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ],
)
async def test_options_names_the_methods_of_the_resource(gateway: Gateway, path: str, allowed: str) -> None:
    async with raw_client(gateway.port) as client:
        response = await ask(client, f"OPTIONS {path}")
        assert (response.status, response.headers["allow"]) == (204, allowed)
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "content-length" not in response.headers


@pytest.mark.parametrize("path", ["/nowhere/", "/codex/", "/login/more/"])
async def test_options_of_an_unknown_resource_is_404_but_its_preflight_is_answered(
    gateway: Gateway, path: str
) -> None:
    async with raw_client(gateway.port) as client:
        assert_raw_problem(await ask(client, f"OPTIONS {path}"), 404, "not-found")
        preflight = await ask(client, f"OPTIONS {path}", f"Origin: {ORIGIN}")
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, ORIGIN)


@pytest.mark.parametrize(
    "sent",
    [
        request("GET /code/a1b2/"), request("HEAD /code/a1b2/"), request("GET /openapi.json"),
        request("OPTIONS /login/"), request("GET /nowhere/"),
        request("POST /login/", "Content-Length: 99999"),
        request("GET /me/"), b"garbage\r\n\r\n", request("GET /", "Expect: the unexpected"),
        request("GET /code/", "A: " + "b" * 20_000), request("GET /code/", "Connection: close"),
        b"GET /code/ HTTP/1.0\r\n\r\n", request("POST /code/", "Transfer-Encoding: chunked") + b"x\r\n",
    ],
    ids=repr,
)  # fmt: skip
async def test_every_answer_has_one_date(gateway: Gateway, upstream: StubUpstream, sent: bytes) -> None:
    async with raw_client(gateway.port) as client:
        client.send(sent)
        head = await client.reader.readuntil(b"\r\n\r\n")
        dates = re.findall(rb"(?i)\r\ndate: ([^\r]*)", head)
        assert len(dates) == 1, head
        assert parsedate_to_datetime(dates[0].decode()).utcoffset() is not None


async def test_the_date_of_a_service_is_kept(gateway: Gateway, upstream: StubUpstream) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    upstream.response = OK.replace(b"\r\n\r\n", f"\r\nDATE: {date}\r\n\r\n".encode())
    for options in ([], ["Connection: close"]):
        async with raw_client(gateway.port) as client:
            assert (await ask(client, "GET /code/a1b2/", *options)).headers["date"] == date


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other", {}', 'W/"other" ,W/{},', "*"])
async def test_a_page_that_the_client_has_is_304(gateway: Gateway, path: str, pattern: str) -> None:
    async with raw_client(gateway.port) as client:
        page = await ask(client, f"GET {path}")
        condition = f"If-None-Match: {pattern.format(page.headers['etag'])}"
        for method in ("GET", "HEAD"):
            response = await ask(client, f"{method} {path}", condition)
            assert (response.status, response.headers["etag"]) == (304, page.headers["etag"])
            assert "content-type" not in response.headers
        for other in ('"other"', page.headers["etag"].strip('"'), "W/*"):
            client.send(request(f"GET {path}", f"If-None-Match: {other}"))
            assert (await client.response()).status == 200


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://host:8888/code/a?b=c", "/code/a?b=c", "host:8888"),
        ("https://host/code/a", "/code/a", "host"),
        ("HTTP://HOST/code/", "/code/", "HOST"),
        ("http://[::1]:8888/code/", "/code/", "[::1]:8888"),
    ],
)
async def test_a_target_in_absolute_form_is_a_path_of_its_host(
    gateway: Gateway, upstream: StubUpstream, target: str, path: str, host: str
) -> None:
    async with raw_client(gateway.port) as client:
        assert (await ask(client, f"GET {target}")).status == 200
    assert upstream.requests[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("target", ["http://host", "http://host:80?a=b", "https://host/"])
async def test_a_target_without_a_path_is_the_start_page(gateway: Gateway, target: str) -> None:
    async with raw_client(gateway.port) as client:
        response = await ask(client, f"GET {target}")
        assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await ask(client, "OPTIONS http://host")).headers["allow"].startswith("GET, HEAD, POST")


@pytest.mark.parametrize(
    "target",
    [
        "ftp://host/code/", "http://me@host/code/", "http://me:x@host/code/", "http:///code/", "http://",
        "http:/code/", "http:code/", "file:///code/", "http://ho st/", "http://host:8o/", "http://h%6fst/code/",
        "host/code/", "code/", "*", "?a=b", "//", "javascript:1", "http://a,b/", "http://[::1/", "ws://host/code/",
        "http://host/code/#x",
    ],
)  # fmt: skip
async def test_any_other_target_is_refused(gateway: Gateway, upstream: StubUpstream, target: str) -> None:
    async with raw_client(gateway.port) as client:
        response = await ask(client, f"GET {target}")
        assert response.status in ({404} if target == "//" else {400})
        assert response.json()["type"].startswith("/problems/")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "value", ["100-continue", "100-Continue", "100-CONTINUE", " 100-continue ,", "100-continue,100-Continue"]
)
async def test_100_continue_is_expected_in_any_case(
    gateway: Gateway, upstream: StubUpstream, value: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request("POST /code/", "Content-Length: 2", f"Expect: {value}"))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 (Continue)\r\n\r\n"
        client.send(b"{}")
        assert (await client.response()).status == 200
    assert b"expect" not in upstream.requests[0].lower()


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /code/ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /code/ HTTP/1.0\r\nExpect: something\r\nContent-Length: 2\r\n\r\n{}",
        request("POST /code/", "Expect: 100-continue", "Content-Length: 0"),
        request("GET /code/", "Expect: 100-continue"),
        request("GET /code/", "Expect:"),
    ],
    ids=repr,
)
async def test_no_100_is_sent_to_who_does_not_wait_for_it(
    gateway: Gateway, upstream: StubUpstream, sent: bytes
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(sent)
        assert (await client.response()).status == 200


@pytest.mark.parametrize("value", ["200-ok", "100-continue, other", "x" * 1000])
async def test_another_expectation_is_417(gateway: Gateway, upstream: StubUpstream, value: str) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request("POST /code/", "Content-Length: 2", f"Expect: {value}") + b"{}")
        assert_raw_problem(await client.response(), 417, "expectation-failed")
        assert await client.is_closed()
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_the_operators_port_takes_head_and_options(
    session: aiohttp.ClientSession, gateway: Gateway, path: str
) -> None:
    url = gateway.ops_url + path
    async with session.get(url) as got, session.head(url) as head, session.options(url) as options:
        assert head.status == got.status
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) > 0
        assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
        assert all("Date" in answer.headers for answer in (got, head, options))
    async with session.post(url) as refused:
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await refused.json(content_type=None))["type"] == "/problems/method-not-allowed"


async def test_other_paths_of_the_operators_port_are_problems(
    session: aiohttp.ClientSession, gateway: Gateway
) -> None:
    async with session.get(f"{gateway.ops_url}/login/") as refused:
        assert refused.status == 404
        assert (await refused.json(content_type=None))["request_id"] == refused.headers["X-Request-ID"]
