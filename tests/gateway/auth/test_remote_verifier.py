"""What forged HS256 tokens cost: no call where HS256 is not in force, and a bounded number where it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from services.gateway.auth.remote_verifier import RemoteLimits, RemoteVerifier
from services.gateway.upstream.client import UpstreamClient
from services.gateway.upstream.pool import ConnectionPool
from shared.clock import now
from shared.errors import TooManyRequests, Unauthorized, Unavailable
from shared.observability.metrics import UpstreamMetrics, new_registry
from tests.support.client import Api
from tests.support.gateway import (
    VERIFY_PATH,
    StubUpstream,
    assert_problem,
    never_answer,
    wait_until,
)
from tests.support.signer import Signer, assert_unauthorized

MakeVerifier = Callable[[RemoteLimits], RemoteVerifier]


@pytest.fixture
def forger(tmp_path: Path) -> Signer:
    """Signs with a secret that the auth service does not have."""
    return Signer(tmp_path / "forger", "HS256")


async def test_a_forged_token_costs_no_call_where_hs256_is_not_in_use(
    client: Api, upstream: StubUpstream, signer: Signer, forger: Signer
) -> None:
    upstream.documents[VERIFY_PATH] = None
    upstream.refusal = {"secret_kids": []}
    began = time.monotonic()
    replies = [await client.get("/me/", token=forger.token(f"s{number}")) for number in range(100)]
    for reply in replies:
        assert_unauthorized(reply, token_given=True)
    assert upstream.own_requests.count(VERIFY_PATH) <= time.monotonic() - began + 1
    assert (await client.get("/me/", token=signer.token())).status == 200


async def test_a_forged_token_costs_no_call_where_its_key_is_unknown(
    upstream: StubUpstream, make_verifier: MakeVerifier
) -> None:
    upstream.documents[VERIFY_PATH] = None
    upstream.refusal = {"secret_kids": ["known"]}
    verifier = make_verifier(RemoteLimits())
    for number in range(10):
        with pytest.raises(Unauthorized):
            await verifier.verify(f"token{number}", "unknown", "192.0.2.1")
    assert upstream.own_requests.count(VERIFY_PATH) == 1
    upstream.documents[VERIFY_PATH] = {"user_id": 42, "session_id": "s9", "expires_at": time.time() + 60}
    assert (await verifier.verify("token", "known", "192.0.2.1")).user_id == 42


async def test_a_new_key_is_asked_about_within_a_moment(
    upstream: StubUpstream, make_verifier: MakeVerifier
) -> None:
    upstream.documents[VERIFY_PATH] = None
    upstream.refusal = {"secret_kids": []}
    verifier = make_verifier(RemoteLimits(kids_seconds=0.2))
    with pytest.raises(Unauthorized):
        await verifier.verify("forged", "new", "192.0.2.1")
    upstream.documents[VERIFY_PATH] = {"user_id": 42, "session_id": "s9", "expires_at": time.time() + 60}
    await asyncio.sleep(0.3)
    assert (await verifier.verify("token", "new", "192.0.2.1")).user_id == 42


async def test_an_address_whose_tokens_are_refused_has_to_wait(
    client: Api, upstream: StubUpstream, signer: Signer, forger: Signer
) -> None:
    upstream.documents[VERIFY_PATH] = None
    replies = [await client.get("/me/", token=forger.token(f"s{number}")) for number in range(60)]
    assert upstream.own_requests.count(VERIFY_PATH) <= 21
    assert_unauthorized(replies[0], token_given=True)
    assert_problem(replies[-1], 429, "too-many-requests")
    assert int(replies[-1].headers["Retry-After"]) == replies[-1]["retry_after"] >= 1
    assert (await client.get("/me/", token=signer.token())).status == 200  # verified here


async def test_an_expired_token_costs_no_call(client: Api, upstream: StubUpstream, forger: Signer) -> None:
    upstream.documents[VERIFY_PATH] = None
    long_ago = now() - timedelta(hours=1)
    for number in range(30):
        reply = await client.get("/me/", token=forger.token(f"s{number}", at=long_ago))
        assert_unauthorized(reply, token_given=True)
    assert VERIFY_PATH not in upstream.own_requests


@pytest.fixture
async def make_verifier(upstream: StubUpstream) -> AsyncIterator[MakeVerifier]:
    async with AsyncExitStack() as stack:

        def make(limits: RemoteLimits) -> RemoteVerifier:
            url = f"http://127.0.0.1:{upstream.port}"
            pool = ConnectionPool("auth", url, UpstreamMetrics(new_registry()))
            stack.push_async_callback(pool.close)
            return RemoteVerifier(UpstreamClient(pool), limits)

        yield make


async def test_a_refused_token_is_remembered(upstream: StubUpstream, make_verifier: MakeVerifier) -> None:
    upstream.documents[VERIFY_PATH] = None
    verifier = make_verifier(RemoteLimits(refusal_seconds=0.3))
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await verifier.verify("token", "kid", "192.0.2.1")
    assert upstream.own_requests.count(VERIFY_PATH) == 1
    await asyncio.sleep(0.4)
    with pytest.raises(Unauthorized):
        await verifier.verify("token", "kid", "192.0.2.1")
    assert upstream.own_requests.count(VERIFY_PATH) == 2


async def test_concurrent_requests_with_one_token_share_a_call(
    upstream: StubUpstream, make_verifier: MakeVerifier
) -> None:
    upstream.documents[VERIFY_PATH] = {"user_id": 42, "session_id": "s9", "expires_at": time.time() + 60}
    verifier = make_verifier(RemoteLimits())
    tokens = await asyncio.gather(*(verifier.verify("token", "kid", "192.0.2.1") for _ in range(50)))
    assert {token.user_id for token in tokens} == {42}
    assert upstream.own_requests.count(VERIFY_PATH) == 1


async def test_one_address_and_its_ipv6_network_share_a_limit_and_others_have_their_own(
    upstream: StubUpstream, make_verifier: MakeVerifier
) -> None:
    upstream.documents[VERIFY_PATH] = None
    verifier = make_verifier(RemoteLimits(burst=3, refill=60))
    for number in range(3):
        with pytest.raises(Unauthorized):
            await verifier.verify(f"token{number}", "kid", f"2001:db8::{number}")
    with pytest.raises(TooManyRequests):
        await verifier.verify("token3", "kid", "2001:db8::3")
    with pytest.raises(Unauthorized):
        await verifier.verify("token3", "kid", "192.0.2.1")


async def test_calls_at_once_are_limited_and_half_of_them_are_kept_for_addresses_without_refusals(
    upstream: StubUpstream, make_verifier: MakeVerifier
) -> None:
    upstream.documents[VERIFY_PATH] = None
    verifier = make_verifier(RemoteLimits(burst=100, in_flight=8))
    for address in ("192.0.2.1", "192.0.2.2"):
        with pytest.raises(Unauthorized):
            await verifier.verify(f"first of {address}", "kid", address)
    del upstream.documents[VERIFY_PATH]
    upstream.handler = never_answer
    bad = [asyncio.create_task(verifier.verify(f"bad{n}", "kid", "192.0.2.1")) for n in range(8)]
    await asyncio.sleep(0)
    good = [asyncio.create_task(verifier.verify(f"good{n}", "kid", "192.0.2.3")) for n in range(8)]
    await asyncio.sleep(0)
    assert [sum(task.done() for task in tasks) for tasks in (bad, good)] == [4, 4]
    await wait_until(lambda: have_arrived(upstream, 8))
    for task in [*bad, *good]:
        if task.done():
            assert isinstance(task.exception(), Unavailable)
        task.cancel()


async def have_arrived(upstream: StubUpstream, calls: int) -> bool:
    return len(upstream.requests) >= calls


@pytest.mark.parametrize("document", [{}, [], {"user_id": "x", "session_id": "s", "expires_at": 1}, "text"])
async def test_a_malformed_answer_is_no_defect_of_the_gateway(
    client: Api, upstream: StubUpstream, forger: Signer, document: object
) -> None:
    upstream.documents[VERIFY_PATH] = document
    assert (await client.get("/me/", token=forger.token())).status == 503
