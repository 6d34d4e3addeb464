from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.auth.domain import User
from services.auth.keys import KeyRing, NoSigningKey, create_key
from services.auth.tokens import JwtTokens
from shared.errors import Unauthorized
from shared.message_status import now
from tests.fakes import NOW

USER = User(42, "13800000000", "hash", "小明", None, None, NOW)


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    create_key(tmp_path, NOW)
    return KeyRing(tmp_path)


def make(keys: KeyRing, audience: str = "dialpass", issuer: str = "dialpass") -> JwtTokens:
    return JwtTokens(keys, issuer=issuer, audience=audience, ttl=900)


def claims_of(token: str, keys: KeyRing) -> dict[str, Any]:
    key_set = jwt.PyJWKSet.from_dict(keys.jwks())
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience="dialpass")
    return claims


def test_a_token_has_the_contracts_claims_and_the_origins(keys: KeyRing) -> None:
    at = now()
    claims = claims_of(make(keys).issue(USER, "session", at), keys)
    assert set(claims) == {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "uid", "nick"}
    assert (claims["sub"], claims["uid"], claims["nick"], claims["sid"]) == ("42", 42, "小明", "session")
    assert claims["exp"] - claims["iat"] == 900
    assert claims["iat"] == int(at.timestamp())


def test_a_token_says_which_key_and_algorithm(keys: KeyRing) -> None:
    header = jwt.get_unverified_header(make(keys).issue(USER, "session", now()))
    assert (header["alg"], header["kid"], header["typ"]) == ("ES256", keys.signing_kid, "JWT")


def test_a_token_verifies_to_its_user(keys: KeyRing) -> None:
    tokens = make(keys)
    assert tokens.verify(tokens.issue(USER, "session", now())) == 42


def test_no_two_tokens_have_the_same_id(keys: KeyRing) -> None:
    tokens, at = make(keys), now()
    ids = {claims_of(tokens.issue(USER, "session", at), keys)["jti"] for _ in range(3)}
    assert len(ids) == 3


def forged(keys: KeyRing, key: Any, algorithm: str, **changes: Any) -> str:
    at = now()
    claims = {
        "iss": "dialpass", "aud": "dialpass", "sub": "42", "sid": "s", "jti": "j",
        "iat": at, "exp": at + timedelta(seconds=900), **changes,
    }  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": keys.signing_kid})


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
        make(keys).verify(forged(keys, keys.signing_key, "ES256", **changes))


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


def test_the_newest_key_signs_and_the_older_still_verify(tmp_path: Path) -> None:
    create_key(tmp_path, NOW)
    old = make(KeyRing(tmp_path)).issue(USER, "session", now())
    kid = create_key(tmp_path, NOW + timedelta(days=1))
    keys = KeyRing(tmp_path)
    assert keys.signing_kid == kid
    assert make(keys).verify(old) == 42
    assert len(keys.jwks()["keys"]) == 2


def test_the_key_set_shows_no_private_member(keys: KeyRing) -> None:
    assert set(keys.jwks()["keys"][0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    kid = create_key(tmp_path / "keys", NOW)
    assert (tmp_path / "keys" / f"{kid}.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [None, b"", b"not a key"], ids=["none", "empty", "garbage"])
def test_a_folder_without_a_usable_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(NoSigningKey, match="SIGNING_KEYS_DIR"):
        KeyRing(tmp_path)
