"""Verified tokens are kept in bounded memory, and each is verified once."""

import time
import tracemalloc

from services.gateway.auth.token_cache import Identity, TokenCache
from tests.support.client import Api
from tests.support.gateway import RECENTLY_ENDED_PATH, StubUpstream, wait_until
from tests.support.signer import Signer, assert_unauthorized


def identity(session_id: str) -> Identity:
    headers = f"X-User-ID: {10**18}\r\nX-Session-ID: {session_id}\r\n"
    return Identity(session_id, headers, time.time() + 60)


def test_a_token_is_found_until_it_is_displaced() -> None:
    cache = TokenCache()
    cache.put("token", identity("s1"))
    found = cache.get("token")
    assert found is not None
    assert found.session_id == "s1"
    assert cache.get("Token") is None
    cache.clear()
    assert cache.get("token") is None


def test_a_session_has_a_few_entries_and_the_oldest_makes_room() -> None:
    cache = TokenCache()
    cache.put("other", identity("s2"))
    for number in range(1000):
        cache.put(f"token{number}", identity("s1"))
    assert len(cache) == 5
    assert cache.get("token0") is None
    assert cache.get("token999") is not None
    assert cache.get("other") is not None


def test_a_token_that_is_verified_again_is_one_entry() -> None:
    cache = TokenCache()
    for _ in range(100):
        cache.put("token", identity("s1"))
    assert len(cache) == 1


def test_the_memory_of_all_entries_is_bounded() -> None:
    cache = TokenCache(max_bytes=1_000_000)
    tracemalloc.start()
    for number in range(20_000):
        cache.put(f"token{number}" * 50, identity(f"{number:032}"))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 1_300_000
    assert cache.get("token19999" * 50) is not None
    assert cache.get("token0" * 50) is None


async def test_one_token_in_many_spellings_of_the_header_is_one_entry(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    token = signer.token()
    for scheme in ("Bearer ", "bearer ", "BEARER ", "bEaReR    "):
        reply = await client.get("/me/", headers={"Authorization": scheme + token})
        assert reply.status == 200
    upstream.documents[RECENTLY_ENDED_PATH] = {"ended": {"s1": int(time.time()) + 60}}

    async def is_refused() -> bool:
        return (await client.get("/me/", token=token)).status == 401

    await wait_until(is_refused)


async def test_an_odd_or_overlong_header_is_refused(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    token = signer.token()
    for header in (
        f"Bearer {token}~", f"Bearer {token}=", f"Bearer {token[:-1]}+{token[-1]}", f"Bearer {token} x",
        f"Bearer\t{token}", f"Bearer,{token}", f"Bearer {token},Bearer {token}", f"Basic x, Bearer {token}",
        f"Bearer {token}.x", f"Bearer {'a' * 5000}", "Bearer " + " " * 4090 + token, '"Bearer" x',
    ):  # fmt: skip
        reply = await client.get("/me/", headers={"Authorization": header})
        assert_unauthorized(reply, token_given=True)
    assert not upstream.requests
    assert (await client.get("/me/", token=token)).status == 200


async def test_a_repeated_header_is_refused(client: Api, upstream: StubUpstream, signer: Signer) -> None:
    token = signer.token()
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    async with client.session.get(f"{client.url}/me/", headers=twice) as response:
        assert response.status == 401
    assert not upstream.requests
