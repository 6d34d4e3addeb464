"""The gateway's token checks, in front of an auth service that a test plays."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from deploy.local.ports import free_port
from services.gateway.platform_routes import parse_routes
from shared.clock import now
from tests.support.client import Api
from tests.support.gateway import Gateway, Upstream, running_gateway
from tests.support.signer import ALL, JWKS, RECENT, Signer, assert_refused, ready, until


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.fixture(name="upstream")
async def _upstream(signer: Signer) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    upstream.told[JWKS] = signer.keys.jwks()
    async with upstream.listening(free_port()):
        yield upstream


@pytest.fixture(name="gateway")
async def _gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
    async with running_gateway(upstream.port) as gateway:
        await until(lambda: ready(gateway))
        yield gateway


async def test_a_request_without_a_token_is_refused_before_any_upstream_hears_of_it(
    edge: Api, upstream: Upstream
) -> None:
    for path in ("/me/", "/sessions/", "/logout/", "/password/change/"):
        assert_refused(await edge.get(path), token_given=False)
    assert not upstream.requests


async def test_routes_that_need_no_token_do_not_look_at_it(edge: Api, upstream: Upstream) -> None:
    for path in ("/login/", "/code/", "/token/refresh/", "/password/reset/"):
        assert (await edge.get(path, token="nonsense")).status == 200
    assert len(upstream.requests) == 4


async def test_a_valid_token_passes_and_tells_the_upstream_who_asks(
    edge: Api, upstream: Upstream, signer: Signer
) -> None:
    claims = {"X-User-ID": "1", "x-session-id": "forged", "X_User_Id": "1", "X_SESSION_ID": "forged"}
    for _ in range(2):  # verified, then remembered
        assert (await edge.get("/me/", token=signer.token(), headers=claims)).status == 200
    for request in upstream.requests:
        head = request.lower()
        assert b"x-user-id: 42\r\n" in head
        assert b"x-session-id: s1\r\n" in head
        assert b"forged" not in head
        assert head.count(b"user") == head.count(b"user-agent") + 1


async def test_claims_about_identity_reach_no_upstream_without_a_token(edge: Api, upstream: Upstream) -> None:
    await edge.get("/code/", headers={"X-User-ID": "1", "X-Session-ID": "forged"})
    assert b"x-user-id" not in upstream.requests[0].lower()
    assert b"forged" not in upstream.requests[0]


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("given", ["nonsense", "a.b.c", "", "é"])
async def test_nonsense_is_refused(edge: Api, given: str) -> None:
    reply = await edge.get("/me/", headers={"Authorization": f"Bearer {given}"})
    assert_refused(reply, token_given=bool(given))


@pytest.mark.usefixtures("upstream")
async def test_an_expired_token_is_refused_also_where_it_was_valid_before(edge: Api, signer: Signer) -> None:
    expired = signer.token(at=now() - timedelta(seconds=70), seconds=60)
    assert_refused(await edge.get("/me/", token=expired), token_given=True)
    # Its last seconds are those that clocks may differ by.
    about_to = signer.token(at=now() - timedelta(seconds=62), seconds=60)
    assert (await edge.get("/me/", token=about_to)).status == 200
    await until(lambda: has_status(edge, about_to, 401))


@pytest.mark.usefixtures("upstream")
async def test_a_token_of_a_foreign_key_is_refused(edge: Api, tmp_path: Path) -> None:
    assert_refused(await edge.get("/me/", token=Signer(tmp_path / "foreign").token()), token_given=True)


async def test_a_token_of_an_ended_session_is_refused_and_others_are_not(
    edge: Api, upstream: Upstream, signer: Signer
) -> None:
    ended, other = signer.token("s1"), signer.token("s2")
    assert (await edge.get("/me/", token=ended)).status == 200
    upstream.told[RECENT] = {"ended": {"s1": int(time.time()) + 60}}
    await until(lambda: has_status(edge, ended, 401))
    assert_refused(await edge.get("/me/", token=ended), token_given=True)
    assert (await edge.get("/me/", token=other)).status == 200


async def test_what_had_ended_before_the_start_is_refused_from_the_first_request_on(
    session: aiohttp.ClientSession, signer: Signer
) -> None:
    upstream = Upstream()
    upstream.told |= {JWKS: signer.keys.jwks(), ALL: {"ended": {"s1": int(time.time()) + 60}}}
    async with running_gateway() as gateway:
        edge = Api(session, gateway.url)
        unready = await edge.get("/me/", token=signer.token())
        assert unready.status == 503
        assert int(unready.headers["Retry-After"]) >= 1
        assert not await ready(gateway)
        async with upstream.listening(gateway.upstream_port):
            await until(lambda: ready(gateway))
            assert_refused(await edge.get("/me/", token=signer.token()), token_given=True)


async def test_an_ended_session_is_asked_about_without_a_call_for_each_request(
    edge: Api, upstream: Upstream, signer: Signer
) -> None:
    token = signer.token()
    began = time.monotonic()
    before = len(upstream.questions)
    for _ in range(200):
        assert (await edge.get("/me/", token=token)).status == 200
    looks = (time.monotonic() - began) / 0.5
    assert len(upstream.questions) - before <= looks + 3


async def test_without_the_auth_service_the_known_list_serves_for_a_while_and_then_nobody_passes(
    session: aiohttp.ClientSession, signer: Signer
) -> None:
    orders, auth, port = Upstream(), Upstream(), free_port()
    auth.told |= {JWKS: signer.keys.jwks(), RECENT: {"ended": {"s1": int(time.time()) + 60}}}
    routes = parse_routes(f"/orders=http://127.0.0.1:{port}")
    async with (
        orders.listening(port),
        running_gateway(ended_sessions_max_age=3, gateway_routes=routes) as gateway,
    ):
        edge = Api(session, gateway.url)
        async with auth.listening(gateway.upstream_port):
            await until(lambda: ready(gateway))
            await until(lambda: passes(edge, signer, "s1", 401))
            assert await passes(edge, signer, "s2", 200)
        assert await passes(edge, signer, "s2", 200)
        assert await passes(edge, signer, "s1", 401)
        await until(lambda: passes(edge, signer, "s2", 503))
        assert await ready(gateway)  # it can still say what is wrong
        async with auth.listening(gateway.upstream_port):
            await until(lambda: passes(edge, signer, "s2", 200))


async def passes(edge: Api, signer: Signer, session_id: str, status: int) -> bool:
    return await has_status(edge, signer.token(session_id), status, "/orders/")


async def has_status(edge: Api, token: str, status: int, path: str = "/me/") -> bool:
    return (await edge.get(path, token=token)).status == status


async def test_a_new_key_is_fetched_when_its_first_token_comes_and_a_removed_one_is_forgotten(
    edge: Api, upstream: Upstream, signer: Signer, tmp_path: Path
) -> None:
    old, successor = signer.token(), Signer(tmp_path / "new")
    assert (await edge.get("/me/", token=old)).status == 200
    upstream.told[JWKS] = successor.keys.jwks()
    assert (await edge.get("/me/", token=successor.token())).status == 200
    assert_refused(await edge.get("/me/", token=old), token_given=True)


async def test_tokens_of_invented_keys_make_the_gateway_ask_once_a_second_at_most(
    edge: Api, upstream: Upstream, tmp_path: Path
) -> None:
    foreign = Signer(tmp_path / "foreign")
    began = time.monotonic()
    before = upstream.questions.count(JWKS)
    replies = await asyncio.gather(*(edge.get("/me/", token=foreign.token(f"s{n}")) for n in range(200)))
    assert {reply.status for reply in replies} == {401}
    assert upstream.questions.count(JWKS) - before <= time.monotonic() - began + 2


async def test_a_secret_stays_with_the_auth_service_which_is_asked_once_for_a_token(
    edge: Api, upstream: Upstream, tmp_path: Path
) -> None:
    token = Signer(tmp_path / "secret", "HS256").token("s9")
    upstream.told["/internal/tokens/"] = {"user_id": 42, "session_id": "s9", "expires_at": time.time() + 60}
    for _ in range(3):
        assert (await edge.get("/me/", token=token)).status == 200
    assert b"X-Session-ID: s9\r\n" in upstream.requests[-1]
    assert upstream.questions.count("/internal/tokens/") == 1
    upstream.told[RECENT] = {"ended": {"s9": int(time.time()) + 60}}
    await until(lambda: has_status(edge, token, 401))


async def test_a_secrets_token_that_the_auth_service_refuses_is_refused(
    edge: Api, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.told["/internal/tokens/"] = None
    token = Signer(tmp_path / "secret", "HS256").token()
    assert_refused(await edge.get("/me/", token=token), token_given=True)
    assert not upstream.requests


@pytest.mark.parametrize("answer", [{"ended": []}, {"other": 1}, [], "x", {"ended": {"s": "soon"}}])
async def test_a_list_that_makes_no_sense_changes_nothing(
    edge: Api, upstream: Upstream, signer: Signer, answer: object
) -> None:
    upstream.told[RECENT] = answer
    before = len(upstream.questions)
    await until(lambda: asked(upstream, before + 2))
    assert (await edge.get("/me/", token=signer.token())).status == 200


async def asked(upstream: Upstream, questions: int) -> bool:
    return len(upstream.questions) >= questions
