"""What can be refused from a request's head is refused before its body is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest

from deploy.local.ports import free_port
from services.gateway.routes import parse_route_settings
from tests.support.gateway import Gateway, StubUpstream, running_gateway, wait_until
from tests.support.memory import traced_memory
from tests.support.raw_http import RawClient, assert_raw_problem, raw_client

MEGABYTE = 1024 * 1024


@pytest.fixture
async def gateway(upstream: StubUpstream) -> AsyncIterator[Gateway]:
    """A gateway with a route for large bodies."""
    routes = parse_route_settings(f"/files=http://127.0.0.1:{upstream.port};max_body={16 * MEGABYTE}")
    async with running_gateway(upstream.port, gateway_routes=routes) as gateway:
        await wait_until(gateway.is_ready)
        yield gateway


@pytest.fixture
async def upstream() -> AsyncIterator[StubUpstream]:
    upstream = StubUpstream()
    async with upstream.listening(free_port()):
        yield upstream


def head(start: str, *headers: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("request_head", "status", "slug"),
    [
        (head("POST /files/a", "Content-Length: 15000000"), 401, "invalid-token"),
        (head("POST /files/a", "Content-Length: 10"), 401, "invalid-token"),
        (head("POST /files/a", "Transfer-Encoding: chunked"), 401, "invalid-token"),
        (head("POST /files/a", "Content-Length: 9", "Authorization: Bearer x.y.z"), 401, "invalid-token"),
        (head("POST /files/a", "Content-Length: 9", "Expect: 100-continue"), 401, "invalid-token"),
        (head("POST /files/a", "Transfer-Encoding: chunked", "Expect: 100-continue"), 401, "invalid-token"),
        (head("DELETE /me/", "Content-Length: 60000"), 401, "invalid-token"),
        (head("POST /nowhere", "Content-Length: 60000"), 404, "not-found"),
        (head("POST /nowhere", "Transfer-Encoding: chunked"), 404, "not-found"),
        (head("POST /files/a", "Content-Length: 17000000"), 413, "payload-too-large"),
        (head("POST /code/", "Content-Length: 65537"), 413, "payload-too-large"),
        (head("TRACE /files/a", "Content-Length: 60000"), 405, "method-not-allowed"),
        (head("BREW /files/a", "Transfer-Encoding: chunked"), 405, "method-not-allowed"),
        (head("POST /docs/", "Content-Length: 60000"), 405, "method-not-allowed"),
        (head("PUT /register/", "Content-Length: 60000"), 405, "method-not-allowed"),
        (head("POST /code/a1b2/", "Content-Length: 60000"), 405, "method-not-allowed"),
        (head("POST /.well-known/jwks.json?a=b", "Content-Length: 6000"), 405, "method-not-allowed"),
        (head("POST /code", "Content-Length: 6000", "Content-Type: text/plain"), 415,
         "unsupported-media-type"),
        (head("POST /login/", "Content-Length: 9", "Content-Type: multipart/form-data; boundary=x"), 415,
         "unsupported-media-type"),
        (head("POST /login/", "Content-Length: 9", "Content-Encoding: gzip"), 415,
         "unsupported-content-encoding"),
    ],
)  # fmt: skip
async def test_the_answer_does_not_wait_for_the_body(
    gateway: Gateway, upstream: StubUpstream, request_head: bytes, status: int, slug: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(request_head)
        response = await client.response()
        assert_raw_problem(response, status, slug)
        assert response.headers["connection"] == "close"
        assert await client.is_closed()
    assert upstream.requests == []


async def test_a_preflight_does_not_wait_for_a_body(gateway: Gateway) -> None:
    async with raw_client(gateway.port) as client:
        client.send(head("OPTIONS /files/a", "Content-Length: 15000000"))
        assert (await client.response()).status == 204
        assert await client.is_closed()


@pytest.mark.parametrize("start", ["POST /files/a", "POST /nowhere", "BREW /login/", "OPTIONS /login/"])
async def test_the_connection_is_kept_where_the_body_is_there_already(
    gateway: Gateway, upstream: StubUpstream, start: str
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(head(start, "Content-Length: 5") + b"hello" + head("GET /code/"))
        refused = await client.response()
        assert "connection" not in refused.headers
        assert refused.status in {204, 401, 404, 405}
        assert (await client.response()).status == 200
    assert len(upstream.requests) == 1
    assert b"hello" not in upstream.requests[0]


async def test_bodies_without_a_token_are_not_kept_in_memory(gateway: Gateway) -> None:
    part = b"x" * MEGABYTE

    async def send_body(client: RawClient) -> None:
        client.writer.transport.set_write_buffer_limits(high=0)
        client.send(head("POST /files/a", f"Content-Length: {15 * MEGABYTE}"))
        with suppress(ConnectionError):
            for _ in range(5):
                client.send(part)
                await client.writer.drain()

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(gateway.port)) for _ in range(16)]
        with traced_memory() as held:
            await asyncio.gather(*map(send_body, clients))
            assert held() < 16 * MEGABYTE


async def test_a_client_that_waits_for_100_gets_it_and_then_its_answer(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        client.send(head("POST /code/", "Content-Length: 2", "Expect: 100-continue"))
        assert (await client.response()).status == 100
        client.send(b"{}")
        assert (await client.response()).status == 200
    assert upstream.requests[0].endswith(b"\r\n\r\n{}")


async def test_a_compressed_body_is_refused_with_what_is_accepted(gateway: Gateway) -> None:
    async with raw_client(gateway.port) as client:
        client.send(head("POST /login/", "Content-Length: 9", "Content-Encoding: br"))
        assert (await client.response()).headers["accept-encoding"] == "identity"


async def test_a_compressed_body_for_another_service_is_its_own_business(
    gateway: Gateway, upstream: StubUpstream
) -> None:
    """Here it lacks a token."""
    async with raw_client(gateway.port) as client:
        client.send(head("POST /files/a", "Content-Length: 9", "Content-Encoding: gzip"))
        assert_raw_problem(await client.response(), 401, "invalid-token")
