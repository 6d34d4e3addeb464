"""Connections to an upstream: reuse, retries, framing of responses, and what becomes of failures."""

import asyncio

import pytest

from tests.support.client import Api
from tests.support.gateway import OK, Gateway, StubUpstream, assert_problem, never_answer


async def test_an_absent_upstream_is_503_with_retry_after(client: Api) -> None:
    reply = await client.post("/login/", {})
    assert_problem(reply, 503, "service-unavailable")
    assert int(reply.headers["Retry-After"]) == reply["retry_after"] >= 1


async def test_a_slow_upstream_is_504(client: Api, upstream: StubUpstream) -> None:
    upstream.handler = never_answer
    assert_problem(await client.post("/login/", {}), 504, "gateway-timeout")


async def test_a_connection_lost_during_a_request_is_502_without_a_retry(
    client: Api, upstream: StubUpstream
) -> None:
    async def die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    upstream.handler = die
    assert_problem(await client.post("/login/", {}), 502, "bad-gateway")
    assert len(upstream.requests) == 1


async def test_an_upstream_that_does_not_speak_http_is_502(client: Api, upstream: StubUpstream) -> None:
    upstream.response = b"220 smtp.example.com ESMTP\r\n"
    assert_problem(await client.post("/login/", {}), 502, "bad-gateway")


async def test_a_truncated_response_is_not_forwarded_as_complete(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    async def begin(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    upstream.handler = begin
    response = await gateway.send_raw(b"GET /code/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"Content-Length: 100" in response
    assert response.endswith(b"half")


async def test_an_idempotent_request_is_retried_when_its_kept_connection_is_dead(
    client: Api, upstream: StubUpstream
) -> None:
    async def answer_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(upstream.requests) == 2:  # the first request after the idle time
            writer.transport.abort()
        else:
            writer.write(OK)

    upstream.handler = answer_once
    assert (await client.get("/code/")).status == 200
    assert (await client.get("/code/")).status == 200
    assert upstream.connections == 2


async def test_connections_to_the_upstream_are_reused(client: Api, upstream: StubUpstream) -> None:
    for _ in range(5):
        assert (await client.post("/login/", {})).body == {"ok": True}
    assert upstream.connections == 1


async def test_a_chunked_response_is_forwarded_whole(client: Api, upstream: StubUpstream) -> None:
    upstream.response = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"a":\r\n3\r\n1} \r\n0\r\n\r\n'
    )
    assert (await client.get("/code/")).body == {"a": 1}


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_a_response_without_a_body_does_not_disturb_the_next_one(
    client: Api, upstream: StubUpstream, status: bytes
) -> None:
    upstream.response = b"HTTP/1.1 " + status + b"\r\n\r\n"
    assert (await client.get("/code/")).status == int(status[:3])
    upstream.response = OK
    assert (await client.get("/code/")).body == {"ok": True}
