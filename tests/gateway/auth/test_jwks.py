"""The published keys are fetched again for tokens of unknown keys."""

import asyncio
import time
from pathlib import Path

from tests.support.client import Api
from tests.support.gateway import JWKS_PATH, StubUpstream
from tests.support.signer import Signer, assert_unauthorized


async def test_a_new_key_is_fetched_for_its_first_token_and_a_removed_key_is_forgotten(
    client: Api, upstream: StubUpstream, signer: Signer, tmp_path: Path
) -> None:
    old, successor = signer.token(), Signer(tmp_path / "new")
    assert (await client.get("/me/", token=old)).status == 200
    upstream.documents[JWKS_PATH] = successor.keys.jwks()
    assert (await client.get("/me/", token=successor.token())).status == 200
    assert_unauthorized(await client.get("/me/", token=old), token_given=True)


async def test_tokens_of_unknown_keys_cause_one_fetch_a_second_at_most(
    client: Api, upstream: StubUpstream, tmp_path: Path
) -> None:
    foreign = Signer(tmp_path / "foreign")
    began = time.monotonic()
    before = upstream.own_requests.count(JWKS_PATH)
    replies = await asyncio.gather(*(client.get("/me/", token=foreign.token(f"s{n}")) for n in range(200)))
    assert {reply.status for reply in replies} == {401}
    assert upstream.own_requests.count(JWKS_PATH) - before <= time.monotonic() - began + 2
