"""The folder of signing keys: what is in it, which key signs, and what happens when it changes."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.auth.tokens.key_ring import KeyPolicy, KeyRing, NoSigningKey
from services.auth.tokens.signing_keys import Algorithm, SigningKey, create_key
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.clock import NOW

DELAY = timedelta(minutes=10)


def ring(folder: Path, algorithm: Algorithm = "ES256") -> KeyRing:
    return KeyRing(folder, KeyPolicy(algorithm, DELAY), AuthMetrics(new_registry()))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "HS256"])
def test_a_key_file_is_its_owners_alone(tmp_path: Path, algorithm: Algorithm) -> None:
    key = create_key(tmp_path / "keys", algorithm, NOW)
    assert (tmp_path / "keys" / key.file_name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [key.file_name]


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("ES256", {"kty", "crv", "x", "y", "kid", "use", "alg"}),
        ("RS256", {"kty", "n", "e", "kid", "use", "alg"}),
        ("EdDSA", {"kty", "crv", "x", "kid", "use", "alg"}),
    ],
)
def test_the_key_set_shows_no_private_member(tmp_path: Path, algorithm: Algorithm, members: set[str]) -> None:
    create_key(tmp_path, algorithm, NOW)
    assert set(ring(tmp_path, algorithm).jwks()["keys"][0]) == members


def test_a_secret_is_never_in_the_key_set(tmp_path: Path) -> None:
    create_key(tmp_path, "HS256", NOW)
    assert ring(tmp_path, "HS256").jwks() == {"keys": []}
    assert ring(tmp_path, "HS256").secret_kids() == [path.stem for path in tmp_path.glob("*.secret")]


def test_a_key_does_not_show_what_it_signs_with(tmp_path: Path) -> None:
    key = create_key(tmp_path, "HS256", NOW)
    assert key.private.decode() not in repr(key)


def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_afterwards(tmp_path: Path) -> None:
    old = create_key(tmp_path, "ES256", NOW)
    new = create_key(tmp_path, "ES256", NOW + timedelta(days=1))
    keys = ring(tmp_path)
    assert {key["kid"] for key in keys.jwks()["keys"]} == {old.kid, new.kid}
    assert keys.signing_key(NOW + timedelta(days=1)).kid == old.kid
    assert keys.signing_key(NOW + timedelta(days=1) + DELAY).kid == new.kid
    assert keys.find(old.kid) is not None


def test_the_first_key_signs_at_once(tmp_path: Path) -> None:
    first = create_key(tmp_path, "ES256", NOW)
    assert ring(tmp_path).signing_key(NOW).kid == first.kid


def test_a_key_of_another_algorithm_verifies_and_does_not_sign(tmp_path: Path) -> None:
    other = create_key(tmp_path, "RS256", NOW)
    chosen = create_key(tmp_path, "ES256", NOW - timedelta(days=9))
    keys = ring(tmp_path)
    assert keys.signing_key(NOW + timedelta(days=1)).kid == chosen.kid
    found = keys.find(other.kid)
    assert found is not None
    assert found.algorithm == "RS256"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (None, b""),
        ("key.pem", b""),
        ("key.pem", b"not a key"),
        ("key.pem", pem(ec.generate_private_key(ec.SECP384R1()))),
        ("key.pem", pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))),
        ("key.secret", b"x" * 31 + b"\n"),
    ],
    ids=["none", "empty", "garbage", "other-curve", "short-rsa", "short-secret"],
)
def test_a_folder_without_a_usable_key_is_refused(tmp_path: Path, name: str | None, content: bytes) -> None:
    if name is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(NoSigningKey, match="SIGNING_KEYS_DIR"):
        ring(tmp_path)


def test_keys_of_other_algorithms_alone_are_refused(tmp_path: Path) -> None:
    create_key(tmp_path, "ES256", NOW)
    with pytest.raises(NoSigningKey, match="no key for HS256"):
        ring(tmp_path, "HS256")


def test_a_key_that_comes_and_goes_is_noticed(tmp_path: Path) -> None:
    first = create_key(tmp_path, "ES256", NOW)
    keys = ring(tmp_path)
    second = create_key(tmp_path, "ES256", NOW)
    keys.refresh()
    assert keys.find(second.kid) is not None
    (tmp_path / first.file_name).unlink()
    keys.refresh()
    assert keys.find(first.kid) is None


def mount(folder: Path, version: str, keys: list[SigningKey], source: Path) -> None:
    """Publish files as the kubelet publishes a Secret: a new folder, then one link is swapped."""
    (folder / version).mkdir()
    for key in keys:
        (folder / version / key.file_name).write_bytes((source / key.file_name).read_bytes())
        link = folder / key.file_name
        if not link.is_symlink():
            link.symlink_to(f"..data/{key.file_name}")
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")
    for link in folder.glob("*.pem"):
        if not link.exists():
            link.unlink()


def test_a_mounted_secret_that_is_swapped_is_noticed(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "mounted"
    folder.mkdir()
    first, second = (create_key(source, "ES256", NOW + timedelta(days=day)) for day in (0, 1))
    mount(folder, "..1", [first], source)
    keys = ring(folder)
    mount(folder, "..2", [first, second], source)
    keys.refresh()
    assert keys.signing_key(NOW + timedelta(days=2)).kid == second.kid
    mount(folder, "..3", [second], source)
    keys.refresh()
    assert [key["kid"] for key in keys.jwks()["keys"]] == [second.kid]


def test_a_key_whose_content_changes_in_place_is_noticed(tmp_path: Path) -> None:
    key = create_key(tmp_path, "ES256", NOW)
    keys = ring(tmp_path)
    before = keys.jwks()
    other = create_key(tmp_path / "other", "ES256", NOW)
    (tmp_path / key.file_name).write_bytes((tmp_path / "other" / other.file_name).read_bytes())
    os.utime(tmp_path / key.file_name, ns=(1, 1))
    keys.refresh()
    assert keys.jwks() != before


@pytest.mark.parametrize("damage", ["emptied", "garbage"])
def test_a_folder_that_cannot_be_used_any_more_leaves_the_keys_in_force(tmp_path: Path, damage: str) -> None:
    key = create_key(tmp_path, "ES256", NOW)
    metrics = AuthMetrics(registry := new_registry())
    keys = KeyRing(tmp_path, KeyPolicy("ES256", DELAY), metrics)
    if damage == "emptied":
        (tmp_path / key.file_name).unlink()
    else:
        (tmp_path / "other.pem").write_bytes(b"not a key")
    keys.refresh()
    assert keys.signing_key(NOW).kid == key.kid
    assert registry.get_sample_value("dialpass_signing_key_failures_total") == 1
