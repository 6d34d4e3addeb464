"""Tokens of ended sessions are refused."""

import asyncio
import time

import aiohttp
import pytest

from deploy.local.ports import free_port
from services.gateway.routes import parse_route_settings
from tests.support.client import Api
from tests.support.gateway import (
    ENDED_PATH,
    JWKS_PATH,
    RECENTLY_ENDED_PATH,
    Gateway,
    StubUpstream,
    running_gateway,
    wait_until,
)
from tests.support.raw_http import raw_client
from tests.support.signer import Signer, assert_unauthorized


async def test_a_token_of_an_ended_session_is_refused_and_others_are_not(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    ended, other = signer.token("s1"), signer.token("s2")
    assert (await client.get("/me/", token=ended)).status == 200
    upstream.documents[RECENTLY_ENDED_PATH] = {"ended": {"s1": int(time.time()) + 60}}
    await wait_until(lambda: has_status(client, ended, 401))
    assert_unauthorized(await client.get("/me/", token=ended), token_given=True)
    assert (await client.get("/me/", token=other)).status == 200


async def test_a_session_that_ended_before_the_start_is_refused_from_the_first_request_on(
    session: aiohttp.ClientSession, signer: Signer
) -> None:
    upstream = StubUpstream()
    ended = {"ended": {"s1": int(time.time()) + 60}}
    upstream.documents |= {JWKS_PATH: signer.keys.jwks(), ENDED_PATH: ended}
    async with running_gateway() as gateway:
        client = Api(session, gateway.url)
        unready = await client.get("/me/", token=signer.token())
        assert unready.status == 503
        assert int(unready.headers["Retry-After"]) >= 1
        assert not await gateway.is_ready()
        async with upstream.listening(gateway.upstream_port):
            await wait_until(gateway.is_ready)
            assert_unauthorized(await client.get("/me/", token=signer.token()), token_given=True)


async def test_requests_with_a_token_cause_no_request_to_the_auth_service(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    token = signer.token()
    began = time.monotonic()
    before = len(upstream.own_requests)
    for _ in range(200):
        assert (await client.get("/me/", token=token)).status == 200
    regular_updates = (time.monotonic() - began) / 0.5
    assert len(upstream.own_requests) - before <= regular_updates + 3


async def test_without_the_auth_service_the_list_is_trusted_for_its_maximum_age(
    session: aiohttp.ClientSession, signer: Signer
) -> None:
    orders, auth, port = StubUpstream(), StubUpstream(), free_port()
    ended = {"ended": {"s1": int(time.time()) + 60}}
    auth.documents |= {JWKS_PATH: signer.keys.jwks(), RECENTLY_ENDED_PATH: ended}
    routes = parse_route_settings(f"/orders=http://127.0.0.1:{port}")
    async with (
        orders.listening(port),
        running_gateway(ended_sessions_max_age=3, gateway_routes=routes) as gateway,
    ):
        client = Api(session, gateway.url)

        async def is_answered(session_id: str, status: int) -> bool:
            return await has_status(client, signer.token(session_id), status, "/orders/")

        async with auth.listening(gateway.upstream_port):
            await wait_until(gateway.is_ready)
            await wait_until(lambda: is_answered("s1", 401))
            assert await is_answered("s2", 200)
        assert await is_answered("s2", 200)
        assert await is_answered("s1", 401)
        await wait_until(lambda: is_answered("s2", 503))
        assert await gateway.is_ready()  # to answer with a problem document
        async with auth.listening(gateway.upstream_port):
            await wait_until(lambda: is_answered("s2", 200))


@pytest.mark.parametrize("document", [{"ended": []}, {"other": 1}, [], "x", {"ended": {"s": "soon"}}])
async def test_a_malformed_list_is_ignored(
    client: Api, upstream: StubUpstream, signer: Signer, document: object
) -> None:
    upstream.documents[RECENTLY_ENDED_PATH] = document
    expected = len(upstream.own_requests) + 2

    async def updated_twice() -> bool:
        return len(upstream.own_requests) >= expected

    await wait_until(updated_twice)
    assert (await client.get("/me/", token=signer.token())).status == 200


async def has_status(client: Api, token: str, status: int, path: str = "/me/") -> bool:
    return (await client.get(path, token=token)).status == status


async def test_a_session_that_ends_while_a_body_arrives_is_refused(
    gateway: Gateway, client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    """The token is checked with the head; a body can take ten seconds."""
    token = signer.token("s1")
    async with raw_client(gateway.port) as slow:
        slow.send(f"PATCH /me/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode())
        slow.send(b"Content-Length: 2\r\n\r\n{")
        await asyncio.sleep(0.6)
        upstream.documents[RECENTLY_ENDED_PATH] = {"ended": {"s1": int(time.time()) + 60}}
        await wait_until(lambda: has_status(client, token, 401))
        before = len(upstream.requests)
        slow.send(b"}")
        assert (await slow.response()).status == 401
    assert len(upstream.requests) == before


async def test_a_slow_body_of_a_valid_session_is_forwarded(
    gateway: Gateway, upstream: StubUpstream, signer: Signer
) -> None:
    async with raw_client(gateway.port) as slow:
        slow.send(f"PATCH /me/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\n".encode())
        slow.send(b"Content-Length: 2\r\n\r\n{")
        await asyncio.sleep(0.7)
        slow.send(b"}")
        assert (await slow.response()).status == 200
    assert upstream.requests[-1].endswith(b"{}")
