"""Forwarded requests: headers, limits, HTTP versions, and the responses of the gateway itself."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.client import Api
from tests.support.gateway import OK, Gateway, StubUpstream, assert_problem


async def test_headers_about_the_client_are_replaced_by_the_gateways_own(
    client: Api, upstream: StubUpstream
) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Connection": "X-Secret", "X-Secret": "1"}
    reply = await client.get("/code/?a=b", headers=claims | {"X-Request-ID": "mine", "X-Other": "2"})
    (request,) = upstream.requests
    assert request.startswith(b"GET /code/?a=b HTTP/1.1\r\n")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in request
    assert b"X-Request-ID: mine\r\n" in request
    assert b"X-Other: 2\r\n" in request
    assert b"6.6.6.6" not in request
    assert b"X-Secret" not in request
    assert reply.headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize("given", ["", "a" * 65, "spaces in it", "line{}"])
async def test_a_malformed_request_id_is_replaced(client: Api, upstream: StubUpstream, given: str) -> None:
    reply = await client.get("/nowhere/", headers={"X-Request-ID": given})
    assert reply.headers["X-Request-ID"] not in {"", given}
    assert len(reply.headers.getall("X-Request-ID")) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere/", "/healthz", "/metrics", "/readyz", "/code/../metrics", "/code/%2e%2e/metrics",
        "/mexico/", "/callbacks/%2E%2e/metrics", "/callbacks/..;/readyz", "//metrics",
        "/internal/ended-sessions/", "/internal/tokens/", "/code/..%2finternal/tokens/", "/%69nternal/tokens",
        "//internal/tokens/", "/code//internal/", "/code/%5c", "/callbacks/../metrics",
    ],
)  # fmt: skip
async def test_a_path_outside_the_route_table_is_not_forwarded(
    gateway: Gateway, upstream: StubUpstream, path: str
) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    response = await gateway.send_raw(request.encode())
    assert response.startswith(b"HTTP/1.1 404")
    assert not upstream.requests


@pytest.mark.parametrize(
    ("path", "length"),
    [("/code/", 65_537), ("/code/", 2_000_000_000), ("/callbacks/yunpian/s/", 524_289)],
)
async def test_a_body_over_the_limit_is_413_before_it_is_read(
    gateway: Gateway, upstream: StubUpstream, path: str, length: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    response = await gateway.send_raw(head.encode())
    assert response.startswith(b"HTTP/1.1 413")
    assert b"/problems/payload-too-large" in response
    assert not upstream.requests


async def test_a_callback_may_have_half_a_megabyte(client: Api, upstream: StubUpstream) -> None:
    reply = await client.call("POST", "/callbacks/yunpian/s/", data=b"x" * 524_288)
    assert reply.status == 200
    assert upstream.requests[0].startswith(b"POST /callbacks/yunpian/s/ HTTP/1.1\r\n")


async def test_a_chunked_body_over_the_limit_is_413(client: Api, upstream: StubUpstream) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 16_384

    reply = await client.call("POST", "/code/", data=parts())
    assert_problem(reply, 413, "payload-too-large")
    assert not upstream.requests


async def test_a_problem_document_is_in_the_accepted_language(client: Api) -> None:
    reply = await client.get("/nowhere/", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert reply["title"] == "未找到"
    assert reply.headers["Content-Language"] == "zh"


async def test_an_http_1_0_connection_is_closed_after_the_response(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    response = await gateway.send_raw(b"GET /code/ HTTP/1.0\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200")
    assert response.endswith(b'{"ok":true}')
    assert len(upstream.requests) == 1


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway, upstream: StubUpstream) -> None:
    one = b"GET /code/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s\r\n\r\n"
    last = b"GET /code/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: c\r\nConnection: close\r\n\r\n"
    response = await gateway.send_raw(one % b"a" + one % b"b" + last)
    assert re.findall(rb"x-request-id: (\w)", response.lower()) == [b"a", b"b", b"c"]
    assert len(upstream.requests) == 3


async def test_a_head_request_gets_no_body(gateway: Gateway, upstream: StubUpstream) -> None:
    upstream.response = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
    response = await gateway.send_raw(b"HEAD /code/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200")
    assert response.endswith(b"\r\n\r\n")


async def test_a_client_that_disconnects_cancels_the_upstream_request(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait_for_close(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        started.set()
        await reader.read()
        cancelled.set()

    upstream.handler = wait_for_close
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    async with asyncio.timeout(5):
        await started.wait()
        writer.close()
        await cancelled.wait()


async def test_requests_in_flight_are_exported_as_a_metric(
    session: aiohttp.ClientSession, gateway: Gateway, upstream: StubUpstream
) -> None:
    shown: list[str] = []

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with session.get(f"{gateway.ops_url}/metrics") as response:
            shown.extend(await _in_flight(response))
        writer.write(OK)

    upstream.handler = look
    assert (await Api(session, gateway.url).post("/login/", {})).status == 200
    async with session.get(f"{gateway.ops_url}/metrics") as response:
        shown.extend(await _in_flight(response))
    assert shown == ["1.0", "0.0"]


async def _in_flight(response: aiohttp.ClientResponse) -> list[str]:
    lines = (await response.text()).splitlines()
    return [line.split()[1] for line in lines if line.startswith("dialpass_http_requests_in_flight ")]
