"""What an upstream sends beyond the response to a request never becomes a response to another one."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest

from services.gateway.routes import parse_route_settings
from tests.support.client import Api
from tests.support.gateway import OK, Gateway, StubUpstream, running_gateway, wait_until
from tests.support.raw_http import raw_client

EVIL = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"evil": true}'


@pytest.mark.parametrize(
    "surplus",
    [
        EVIL, EVIL * 3, EVIL[:7], EVIL[:1], EVIL[:-1], b"garbage", b"\0", EVIL.replace(b"200 OK", b"500 Oh"),
        b"\r\n" + EVIL, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize(
    "answer",
    [OK, b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"ok":true}\r\n0\r\n\r\n'],
    ids=["length", "chunked"],
)
async def test_surplus_behind_a_response_closes_the_connection(
    client: Api, upstream: StubUpstream, answer: bytes, surplus: bytes
) -> None:
    upstream.response = answer + surplus
    for requests in range(1, 4):
        reply = await client.get("/code/")
        assert (reply.status, reply.body) == (200, {"ok": True})
        assert upstream.connections == requests


@pytest.mark.parametrize("seconds", [0, 0.001, 0.05])
async def test_surplus_on_an_idle_connection_closes_it(
    client: Api, upstream: StubUpstream, seconds: float
) -> None:
    async def answer_twice(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(seconds)
        writer.write(EVIL)

    upstream.handler = answer_twice
    for _ in range(30):
        assert (await client.get("/code/")).body == {"ok": True}
        await asyncio.sleep(seconds)
    assert upstream.connections > 15


async def test_surplus_behind_a_response_does_not_answer_a_concurrent_client(
    session: aiohttp.ClientSession, upstream: StubUpstream
) -> None:
    upstream.response = OK + EVIL
    async with running_gateway(upstream.port) as patient:
        client = Api(session, patient.url)
        replies = await asyncio.gather(*(client.get("/code/") for _ in range(50)))
    assert all(reply.body == {"ok": True} for reply in replies)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 14\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 14\r\n\r\n",
    ],
)  # fmt: skip
async def test_a_body_where_there_is_none_is_surplus(
    client: Api, upstream: StubUpstream, head: bytes
) -> None:
    upstream.response = head + EVIL
    for _ in range(3):
        assert (await client.get("/code/")).body is None
    upstream.response = OK
    assert (await client.get("/code/")).body == {"ok": True}


async def test_a_body_behind_the_response_to_head_is_dropped(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    upstream.response = OK
    for _ in range(2):
        response = await gateway.send_raw(b"HEAD /code/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 200")
        assert response.endswith(b"\r\n\r\n")


async def test_trailers_do_not_become_headers(client: Api, upstream: StubUpstream) -> None:
    upstream.response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'b\r\n{"ok":true}\r\n0\r\nSet-Cookie: a=b\r\n\r\n'
    )
    reply = await client.get("/code/")
    assert reply.body == {"ok": True}
    assert "Set-Cookie" not in reply.headers


async def test_a_response_before_the_whole_request_closes_the_connection(
    upstream: StubUpstream,
) -> None:
    closed = 0

    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal closed
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
            writer.close()
            await writer.wait_closed()
        closed += 1

    async def all_closed() -> bool:
        return closed == 3

    server = await asyncio.start_server(answer_early, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    routes = parse_route_settings(f"/files=http://127.0.0.1:{port};token=none;max_body=16777216")
    async with (
        server,
        running_gateway(upstream.port, gateway_routes=routes) as gateway,
        raw_client(gateway.port) as client,
    ):
        for _ in range(3):
            client.send(b"POST /files/a HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n")
            client.send(b"x" * 16_000_000)
            assert (await client.response()).json() == {"ok": True}
        await wait_until(all_closed)
