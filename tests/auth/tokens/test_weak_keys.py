"""RSA keys of 2048 bits are taken, because RFC 7518 allows them, and reported."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import Algorithm, UnusableKey, create_key, load_key
from shared.observability.metrics import AuthMetrics, new_registry
from tests.auth.test_commands import attempt
from tests.support.clock import NOW


def write_rsa_key(folder: Path, bits: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "20260101T000000-00000000.pem"
    pem = rsa.generate_private_key(public_exponent=65537, key_size=bits).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    return path


def warnings_of(folder: Path, algorithm: Algorithm) -> list[object]:
    """Return the ids of the keys that are reported at the start."""
    with capture_logs() as lines:
        KeyRing(folder, KeyPolicy(algorithm, timedelta(0)), AuthMetrics(new_registry()))
    assert {line["log_level"] for line in lines} <= {"warning"}
    return [line["kid"] for line in lines if line["event"] == "signing_key_weak"]


def test_an_rsa_key_of_2048_bits_is_reported_at_the_start(tmp_path: Path) -> None:
    path = write_rsa_key(tmp_path, 2048)
    assert warnings_of(tmp_path, "RS256") == [path.stem]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "HS256"])
def test_a_new_key_is_not_reported(tmp_path: Path, algorithm: Algorithm) -> None:
    assert create_key(tmp_path, algorithm, NOW).weakness == ""
    assert warnings_of(tmp_path, algorithm) == []


def test_the_list_of_keys_says_which_are_weak(tmp_path: Path) -> None:
    path = write_rsa_key(tmp_path / "keys", 2048)
    env = {"SIGNING_KEYS_DIR": str(path.parent), "TOKEN_ALGORITHM": "RS256"}
    done = attempt("services.auth", "key", "list", **env)
    assert done.stdout == f"{path.stem}  RS256  signs; RSA with 2048 bits: replace it before 2031\n"


def test_a_shorter_rsa_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey):
        load_key(write_rsa_key(tmp_path, 1024))
