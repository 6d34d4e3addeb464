"""The gateway alone: what it passes on, what it answers itself, and what it makes of bad upstreams."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.client import Api, Reply
from tests.support.gateway import OK, Gateway, Upstream


def assert_problem(reply: Reply, status: int, slug: str) -> None:
    assert (reply.status, reply["status"]) == (status, status)
    assert reply["type"] == f"/problems/{slug}"
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply["request_id"] == reply.headers["X-Request-ID"]


async def test_an_absent_upstream_is_503_with_retry_after(edge: Api) -> None:
    reply = await edge.post("/login/", {})
    assert_problem(reply, 503, "service-unavailable")
    assert int(reply.headers["Retry-After"]) == reply["retry_after"] >= 1


async def test_a_slow_upstream_is_504(edge: Api, upstream: Upstream) -> None:
    async def sleep(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    upstream.script = sleep
    assert_problem(await edge.post("/login/", {}), 504, "gateway-timeout")


async def test_an_upstream_that_dies_over_a_request_is_502_and_not_asked_twice(
    edge: Api, upstream: Upstream
) -> None:
    async def die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    upstream.script = die
    assert_problem(await edge.post("/login/", {}), 502, "bad-gateway")
    assert len(upstream.requests) == 1


async def test_an_upstream_that_speaks_no_http_is_502(edge: Api, upstream: Upstream) -> None:
    upstream.answer = b"220 smtp.example.com ESMTP\r\n"
    assert_problem(await edge.post("/login/", {}), 502, "bad-gateway")


async def test_a_response_that_breaks_off_is_never_passed_on_as_complete(
    gateway: Gateway, upstream: Upstream
) -> None:
    async def begin(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    upstream.script = begin
    answer = await gateway.raw(b"GET /code/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"Content-Length: 100" in answer
    assert answer.endswith(b"half")


async def test_a_kept_connection_that_died_while_idle_is_replaced_for_safe_requests(
    edge: Api, upstream: Upstream
) -> None:
    async def answer_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(upstream.requests) == 2:  # the first request after the idle time
            writer.transport.abort()
        else:
            writer.write(OK)

    upstream.script = answer_once
    assert (await edge.get("/code/")).status == 200
    assert (await edge.get("/code/")).status == 200
    assert upstream.connections == 2


async def test_connections_to_the_upstream_are_kept(edge: Api, upstream: Upstream) -> None:
    for _ in range(5):
        assert (await edge.post("/login/", {})).body == {"ok": True}
    assert upstream.connections == 1


async def test_an_answer_in_parts_arrives_whole(edge: Api, upstream: Upstream) -> None:
    upstream.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"a":\r\n3\r\n1} \r\n0\r\n\r\n'
    )
    assert (await edge.get("/code/")).body == {"a": 1}


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body_keeps_the_connection_in_step(
    edge: Api, upstream: Upstream, status: bytes
) -> None:
    upstream.answer = b"HTTP/1.1 " + status + b"\r\n\r\n"
    assert (await edge.get("/code/")).status == int(status[:3])
    upstream.answer = OK
    assert (await edge.get("/code/")).body == {"ok": True}


async def test_the_upstream_hears_of_the_client_what_the_gateway_knows(edge: Api, upstream: Upstream) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Connection": "X-Secret", "X-Secret": "1"}
    reply = await edge.get("/code/?a=b", headers=claims | {"X-Request-ID": "mine", "X-Other": "2"})
    (request,) = upstream.requests
    assert request.startswith(b"GET /code/?a=b HTTP/1.1\r\n")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in request
    assert b"X-Request-ID: mine\r\n" in request
    assert b"X-Other: 2\r\n" in request
    assert b"6.6.6.6" not in request
    assert b"X-Secret" not in request
    assert reply.headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize("given", ["", "a" * 65, "spaces in it", "line{}"])
async def test_a_request_id_that_is_no_sane_token_is_replaced(
    edge: Api, upstream: Upstream, given: str
) -> None:
    reply = await edge.get("/nowhere/", headers={"X-Request-ID": given})
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
async def test_what_is_not_in_the_route_table_reaches_no_upstream(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await gateway.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert not upstream.requests


@pytest.mark.parametrize(
    ("path", "length"),
    [("/code/", 65_537), ("/code/", 2_000_000_000), ("/callbacks/yunpian/s/", 524_289)],
)
async def test_a_body_over_the_limit_is_413_before_it_is_read(
    gateway: Gateway, upstream: Upstream, path: str, length: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    answer = await gateway.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"/problems/payload-too-large" in answer
    assert not upstream.requests


async def test_a_callback_may_bring_a_hundred_status_reports(edge: Api, upstream: Upstream) -> None:
    reply = await edge.call("POST", "/callbacks/yunpian/s/", data=b"x" * 524_288)
    assert reply.status == 200
    assert upstream.requests[0].startswith(b"POST /callbacks/yunpian/s/ HTTP/1.1\r\n")


async def test_a_chunked_body_over_the_limit_is_413(edge: Api, upstream: Upstream) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 16_384

    reply = await edge.call("POST", "/code/", data=parts())
    assert_problem(reply, 413, "payload-too-large")
    assert not upstream.requests


async def test_a_problem_speaks_chinese_where_asked(edge: Api) -> None:
    reply = await edge.get("/nowhere/", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert reply["title"] == "未找到"
    assert reply.headers["Content-Language"] == "zh"


async def test_a_client_of_http_1_0_is_answered_and_closed(gateway: Gateway, upstream: Upstream) -> None:
    answer = await gateway.raw(b"GET /code/ HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"ok":true}')
    assert len(upstream.requests) == 1


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway, upstream: Upstream) -> None:
    one = b"GET /code/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s\r\n\r\n"
    last = b"GET /code/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: c\r\nConnection: close\r\n\r\n"
    answer = await gateway.raw(one % b"a" + one % b"b" + last)
    assert re.findall(rb"x-request-id: (\w)", answer.lower()) == [b"a", b"b", b"c"]
    assert len(upstream.requests) == 3


async def test_a_head_request_gets_a_head(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
    answer = await gateway.raw(b"HEAD /code/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_leaves_ends_the_upstreams_call(gateway: Gateway, upstream: Upstream) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        left.set()

    upstream.script = wait_for_the_end
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    async with asyncio.timeout(5):
        await asked.wait()
        writer.close()
        await left.wait()


async def test_a_request_that_is_being_answered_is_shown(
    session: aiohttp.ClientSession, gateway: Gateway, upstream: Upstream
) -> None:
    shown: list[str] = []

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with session.get(f"http://127.0.0.1:{gateway.ops_port}/metrics") as response:
            shown.extend(await _in_flight(response))
        writer.write(OK)

    upstream.script = look
    assert (await Api(session, gateway.url).post("/login/", {})).status == 200
    async with session.get(f"http://127.0.0.1:{gateway.ops_port}/metrics") as response:
        shown.extend(await _in_flight(response))
    assert shown == ["1.0", "0.0"]


async def _in_flight(response: aiohttp.ClientResponse) -> list[str]:
    lines = (await response.text()).splitlines()
    return [line.split()[1] for line in lines if line.startswith("dialpass_http_requests_in_flight ")]
