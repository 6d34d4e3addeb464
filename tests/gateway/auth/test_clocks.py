"""The clocks of auth and of the gateway differ by up to a minute."""

import json
import time
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from shared.clock import now
from shared.errors import Unauthorized
from shared.security.access_tokens import TokenVerifier
from tests.support.client import Api
from tests.support.gateway import RECENTLY_ENDED_PATH, VERIFY_PATH, StubUpstream, wait_until
from tests.support.signer import Signer, assert_unauthorized


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("seconds", [-59, -10, 0, 10, 59])
async def test_a_token_is_accepted_whose_clock_is_ahead_or_behind(
    client: Api, signer: Signer, seconds: int
) -> None:
    at = now() + timedelta(seconds=seconds)
    assert (await client.get("/me/", token=signer.token(at=at, seconds=900))).status == 200


@pytest.mark.usefixtures("upstream")
async def test_a_token_from_further_ahead_is_refused(client: Api, signer: Signer) -> None:
    token = signer.token(at=now() + timedelta(seconds=75), seconds=900)
    assert_unauthorized(await client.get("/me/", token=token), token_given=True)


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("ago", [1, 10, 59])
async def test_the_expiry_has_no_leeway(client: Api, signer: Signer, ago: int) -> None:
    token = signer.token(at=now() - timedelta(seconds=60 + ago), seconds=60)
    assert_unauthorized(await client.get("/me/", token=token), token_given=True)


@pytest.mark.parametrize("seconds", [-59, 59])
async def test_hs256_tokens_are_no_exception(
    client: Api, upstream: StubUpstream, tmp_path: Path, seconds: int
) -> None:
    at = now() + timedelta(seconds=seconds)
    token = Signer(tmp_path / "secret", "HS256").token("s9", at=at, seconds=900)
    upstream.documents[VERIFY_PATH] = {
        "user_id": 42, "session_id": "s9", "expires_at": at.timestamp() + 900,
    }  # fmt: skip
    assert (await client.get("/me/", token=token)).status == 200


@pytest.mark.parametrize("expired", [59, 10, -10])
async def test_an_ended_session_is_refused_whatever_auths_clock_says_of_its_last_token(
    client: Api, upstream: StubUpstream, signer: Signer, expired: int
) -> None:
    token = signer.token("s7", at=now(), seconds=900)
    assert (await client.get("/me/", token=token)).status == 200
    upstream.documents[RECENTLY_ENDED_PATH] = {"ended": {"s7": int(time.time()) - expired}}

    async def refused() -> bool:
        return (await client.get("/me/", token=token)).status == 401

    await wait_until(refused)


@pytest.mark.parametrize(("claim", "seconds"), [("nbf", 59), ("nbf", -59), ("iat", 59)])
def test_not_before_has_the_same_leeway(signer: Signer, claim: str, seconds: int) -> None:
    verifier = TokenVerifier(signer.keys.find, issuer="dialpass", audience="dialpass")
    assert verifier.verify(changed(signer, claim, seconds)).user_id == 42
    if seconds > 0:
        with pytest.raises(Unauthorized):
            verifier.verify(changed(signer, claim, 75))


def changed(signer: Signer, claim: str, seconds: int) -> str:
    key = signer.keys.signing_key(now())
    claims = jwt.decode(signer.token(seconds=900), options={"verify_signature": False})
    claims[claim] = int(time.time()) + seconds
    return jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.kid})


@pytest.mark.parametrize("expiry", [None, "soon", [], {}, float("inf"), True, -1])
def test_an_odd_expiry_is_refused(signer: Signer, expiry: object) -> None:
    verifier = TokenVerifier(signer.keys.find, issuer="dialpass", audience="dialpass")
    key = signer.keys.signing_key(now())
    claims = jwt.decode(signer.token(seconds=900), options={"verify_signature": False}) | {"exp": expiry}
    token = jwt.api_jws.encode(
        json.dumps(claims).encode(), key.private, key.algorithm, headers={"kid": key.kid}
    )
    with pytest.raises(Unauthorized):
        verifier.verify(token)
