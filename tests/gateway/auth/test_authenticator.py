"""Access tokens are checked before a request is forwarded."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.clock import now
from tests.support.client import Api
from tests.support.gateway import RECENTLY_ENDED_PATH, VERIFY_PATH, StubUpstream, wait_until
from tests.support.signer import Signer, assert_unauthorized


async def test_a_request_without_a_token_is_refused_and_not_forwarded(
    client: Api, upstream: StubUpstream
) -> None:
    for path in ("/me/", "/sessions/", "/logout/", "/password/change/"):
        assert_unauthorized(await client.get(path), token_given=False)
    assert not upstream.requests


async def test_a_token_is_not_checked_on_routes_that_need_none(client: Api, upstream: StubUpstream) -> None:
    for path in ("/login/", "/code/", "/token/refresh/", "/password/reset/"):
        assert (await client.get(path, token="nonsense")).status == 200
    assert len(upstream.requests) == 4


async def test_a_valid_token_is_accepted_and_its_user_and_session_are_forwarded(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    forged = {"X-User-ID": "1", "x-session-id": "forged", "X_User_Id": "1", "X_SESSION_ID": "forged"}
    for _ in range(2):  # verified, then from the cache
        assert (await client.get("/me/", token=signer.token(), headers=forged)).status == 200
    for request in upstream.requests:
        head = request.lower()
        assert b"x-user-id: 42\r\n" in head
        assert b"x-session-id: s1\r\n" in head
        assert b"forged" not in head
        assert head.count(b"user") == head.count(b"user-agent") + 1


async def test_identity_headers_of_the_client_are_not_forwarded_without_a_token(
    client: Api, upstream: StubUpstream
) -> None:
    await client.get("/code/", headers={"X-User-ID": "1", "X-Session-ID": "forged"})
    assert b"x-user-id" not in upstream.requests[0].lower()
    assert b"forged" not in upstream.requests[0]


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("given", ["nonsense", "a.b.c", "", "é"])
async def test_a_malformed_token_is_refused(client: Api, given: str) -> None:
    reply = await client.get("/me/", headers={"Authorization": f"Bearer {given}"})
    assert_unauthorized(reply, token_given=bool(given))


@pytest.mark.usefixtures("upstream")
async def test_an_expired_token_is_refused_even_if_it_is_cached(client: Api, signer: Signer) -> None:
    expired = signer.token(at=now() - timedelta(seconds=70), seconds=60)
    assert_unauthorized(await client.get("/me/", token=expired), token_given=True)
    expired = signer.token(at=now() - timedelta(seconds=61), seconds=60)
    assert_unauthorized(await client.get("/me/", token=expired), token_given=True)
    expiring = signer.token(at=now() - timedelta(seconds=58), seconds=60)
    assert (await client.get("/me/", token=expiring)).status == 200
    await wait_until(lambda: is_refused(client, expiring))


@pytest.mark.usefixtures("upstream")
async def test_a_token_of_a_foreign_key_is_refused(client: Api, tmp_path: Path) -> None:
    token = Signer(tmp_path / "foreign").token()
    assert_unauthorized(await client.get("/me/", token=token), token_given=True)


async def test_an_hs256_token_is_verified_by_the_auth_service_once(
    client: Api, upstream: StubUpstream, tmp_path: Path
) -> None:
    token = Signer(tmp_path / "secret", "HS256").token("s9")
    upstream.documents[VERIFY_PATH] = {"user_id": 42, "session_id": "s9", "expires_at": time.time() + 60}
    for _ in range(3):
        assert (await client.get("/me/", token=token)).status == 200
    assert b"X-Session-ID: s9\r\n" in upstream.requests[-1]
    assert upstream.own_requests.count(VERIFY_PATH) == 1
    upstream.documents[RECENTLY_ENDED_PATH] = {"ended": {"s9": int(time.time()) + 60}}
    await wait_until(lambda: is_refused(client, token))


async def test_an_hs256_token_that_the_auth_service_refuses_is_refused(
    client: Api, upstream: StubUpstream, tmp_path: Path
) -> None:
    upstream.documents[VERIFY_PATH] = None
    token = Signer(tmp_path / "secret", "HS256").token()
    assert_unauthorized(await client.get("/me/", token=token), token_given=True)
    assert not upstream.requests


async def is_refused(client: Api, token: str) -> bool:
    return (await client.get("/me/", token=token)).status == 401
