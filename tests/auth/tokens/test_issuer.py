import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.auth.models import User
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import Algorithm, create_key
from shared.clock import now
from shared.errors import Unauthorized
from shared.observability.metrics import AuthMetrics, new_registry
from shared.security.access_tokens import TokenVerifier, UnknownKey
from tests.support.clock import NOW

USER = User(42, "13800000000", "hash", "小明", None, None, NOW)


def ring(folder: Path, algorithm: Algorithm = "ES256") -> KeyRing:
    return KeyRing(folder, KeyPolicy(algorithm, timedelta(seconds=600)), AuthMetrics(new_registry()))


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    create_key(tmp_path, "ES256", NOW)
    return ring(tmp_path)


def make(keys: KeyRing, audience: str = "dialpass", issuer: str = "dialpass") -> AccessTokenIssuer:
    return AccessTokenIssuer(keys, issuer=issuer, audience=audience)


def issue(tokens: AccessTokenIssuer, at: datetime | None = None, seconds: int = 900) -> str:
    at = at or now()
    return tokens.issue(USER, "session", at, at + timedelta(seconds=seconds))


def claims_of(token: str, keys: KeyRing) -> dict[str, Any]:
    key_set = jwt.PyJWKSet.from_dict(keys.jwks())
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience="dialpass")
    return claims


def test_a_token_has_the_contracts_claims_and_the_origins(keys: KeyRing) -> None:
    at = now()
    claims = claims_of(issue(make(keys), at), keys)
    assert set(claims) == {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "uid", "nick"}
    assert (claims["sub"], claims["uid"], claims["nick"], claims["sid"]) == ("42", 42, "小明", "session")
    assert claims["exp"] - claims["iat"] == 900
    assert claims["iat"] == int(at.timestamp())


def test_a_token_says_which_key_and_algorithm(keys: KeyRing) -> None:
    header = jwt.get_unverified_header(issue(make(keys)))
    assert (header["alg"], header["kid"], header["typ"]) == ("ES256", keys.signing_key(NOW).kid, "JWT")


def test_a_token_verifies_to_its_user_session_and_end(keys: KeyRing) -> None:
    tokens, at = make(keys), now()
    token = tokens.verify(issue(tokens, at))
    assert (token.user_id, token.session_id, token.expires_at) == (42, "session", int(at.timestamp()) + 900)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "HS256"])
def test_every_algorithm_signs_what_it_verifies(tmp_path: Path, algorithm: Algorithm) -> None:
    create_key(tmp_path, algorithm, NOW)
    tokens = make(ring(tmp_path, algorithm))
    token = issue(tokens)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert tokens.verify(token).user_id == 42


def test_the_origins_token_of_7_days_is_two_settings_away(tmp_path: Path) -> None:
    """`TOKEN_ALGORITHM=HS256` and `ACCESS_TOKEN_TTL=604800`, read as the origin's code reads it."""
    secret = create_key(tmp_path, "HS256", NOW).private
    token = issue(make(ring(tmp_path, "HS256")), seconds=604800)
    claims = jwt.decode(token, secret, algorithms=["HS256"], options={"verify_aud": False})
    assert (claims["uid"], claims["nick"]) == (42, "小明")
    assert claims["exp"] - claims["iat"] == 7 * 24 * 3600


def test_a_token_of_an_unknown_key_is_told_apart(keys: KeyRing, tmp_path: Path) -> None:
    create_key(tmp_path / "other", "ES256", NOW)
    token = issue(make(ring(tmp_path / "other")))
    with pytest.raises(UnknownKey):
        make(keys).verify(token)


def test_no_two_tokens_have_the_same_id(keys: KeyRing) -> None:
    tokens, at = make(keys), now()
    ids = {claims_of(issue(tokens, at), keys)["jti"] for _ in range(3)}
    assert len(ids) == 3


def forged(keys: KeyRing, key: Any, algorithm: str, **changes: Any) -> str:
    at = now()
    claims = {
        "iss": "dialpass", "aud": "dialpass", "sub": "42", "sid": "s", "jti": "j",
        "iat": at, "exp": at + timedelta(seconds=900), **changes,
    }  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": keys.signing_key(NOW).kid})


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=NOW.tzinfo)}, {"aud": "other"}, {"iss": "other"}, {"sub": "x"},
        {"exp": None}, {"sub": None}, {"jti": None}, {"sid": None}, {"iat": None}, {"aud": None},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_or_missing_claims_are_refused(keys: KeyRing, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(forged(keys, keys.signing_key(NOW).private, "ES256", **changes))


def test_a_token_of_a_foreign_key_is_refused(keys: KeyRing) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(forged(keys, ec.generate_private_key(ec.SECP256R1()), "ES256"))


def test_an_unsigned_token_is_refused(keys: KeyRing) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(forged(keys, None, "none"))


def test_the_public_key_is_no_hmac_secret(keys: KeyRing) -> None:
    secret = str(keys.jwks()["keys"][0]["x"]) * 2
    with pytest.raises(Unauthorized):
        make(keys).verify(forged(keys, secret, "HS256"))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "." * 10, "eyJhbGciOiJFUzI1NiJ9..", "\udfff", "é" * 9])
def test_garbage_is_refused(keys: KeyRing, token: str) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(token)


def typed(keys: KeyRing, typ: str | None, **changes: Any) -> str:
    claims = jwt.decode(
        forged(keys, keys.signing_key(NOW).private, "ES256"), options={"verify_signature": False}
    )
    key = keys.signing_key(NOW)
    return jwt.encode({**claims, **changes}, key.private, "ES256", headers={"kid": key.kid, "typ": typ})


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_an_access_tokens_type_is_accepted(keys: KeyRing, typ: str) -> None:
    assert make(keys).verify(typed(keys, typ)).user_id == 42


@pytest.mark.parametrize("typ", [None, "", "logout+jwt", "dpop+jwt", "JWT2", "secevent+jwt"])
def test_another_kind_of_jwt_is_refused(keys: KeyRing, typ: str | None) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(typed(keys, typ))


@pytest.mark.parametrize("sid", ["s", "0" * 32, "a" * 64, "a_b-C9"])
def test_a_sessions_id_is_a_short_word(keys: KeyRing, sid: str) -> None:
    assert make(keys).verify(typed(keys, "JWT", sid=sid)).session_id == sid


@pytest.mark.parametrize(
    "changes",
    [
        {"sid": ""}, {"sid": "a" * 65}, {"sid": "a b"}, {"sid": "a\r\nX-User-ID: 1"}, {"sid": "a\n"},
        {"sid": "é"}, {"sid": ["a"]}, {"sid": {"a": 1}}, {"sub": " 42"}, {"sub": "４２"}, {"sub": "4_2"},
        {"sub": "-1"}, {"sub": "0"}, {"sub": "042"}, {"sub": "9" * 20}, {"sub": "42\n"},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_of_another_form_is_refused(keys: KeyRing, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        make(keys).verify(typed(keys, "JWT", **changes))


def test_the_origins_hs256_tokens_are_verified(tmp_path: Path) -> None:
    create_key(tmp_path, "HS256", NOW)
    tokens = make(ring(tmp_path, "HS256"))
    assert tokens.verify(issue(tokens, seconds=604800)).session_id == "session"


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "~",
        lambda token: token[:-1] + "+" + token[-1],
        lambda token: token + "=",
        lambda token: token.replace(".", "..", 1),
    ],
)
def test_a_token_has_one_spelling(keys: KeyRing, change: Callable[[str], str]) -> None:
    tokens = make(keys)
    with pytest.raises(Unauthorized):
        tokens.verify(change(issue(tokens)))


def test_the_claims_can_be_checked_without_the_signature(keys: KeyRing) -> None:
    verifier = TokenVerifier(keys.find, issuer="dialpass", audience="dialpass")
    verifier.check_claims(forged(keys, "x" * 32, "HS256"))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1}, {"exp": []}, {"exp": "x"}, {"exp": float("inf")}, {"iat": {}}, {"aud": "other"},
        {"aud": 7}, {"iss": "other"}, {"iss": []}, {"sub": 42}, {"sub": None}, {"sid": []}, {"nbf": 2**40},
        {"jti": None},
    ],
    ids=str,
)  # fmt: skip
def test_unsigned_claims_of_any_kind_are_refused(keys: KeyRing, changes: dict[str, Any]) -> None:
    verifier = TokenVerifier(keys.find, issuer="dialpass", audience="dialpass")
    claims = jwt.decode(forged(keys, "x" * 32, "HS256"), options={"verify_signature": False})
    kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    parts = [{"alg": "HS256", "kid": "k", "typ": "JWT"}, kept]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    with pytest.raises(Unauthorized):
        verifier.check_claims(".".join([*encoded, "c2ln"]))


def test_deeply_nested_claims_are_refused(keys: KeyRing) -> None:
    verifier = TokenVerifier(keys.find, issuer="dialpass", audience="dialpass")
    encoded = [
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"HS256"}', b"[" * 2900)
    ]
    with pytest.raises(Unauthorized):
        verifier.check_claims(".".join([*encoded, "c2ln"]))
