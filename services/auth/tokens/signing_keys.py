"""Signing keys: one file each in a folder, whose name is the key's id and contains its time of creation."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from shared.security.access_tokens import VerifyingKey

Algorithm = Literal["ES256", "RS256", "EdDSA", "HS256"]

PEM, SECRET = ".pem", ".secret"
_KID = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{8}", re.ASCII)
_KID_TIME = "%Y%m%dT%H%M%S"
# RFC 7518 §3.3: RS256 takes 2048 bits or more. NIST SP 800-57 part 1 §5.6.3 and SP 800-131A take 2048 bits (a
# strength of 112) until the end of 2030 only, so new keys are longer, and shorter ones are reported.
_MIN_RSA_BITS = 2048
_RSA_BITS = 3072
_SECRET_BYTES = 32
_TO_JWK: dict[str, Callable[[Any], dict[str, Any]]] = {
    "ES256": partial(ECAlgorithm.to_jwk, as_dict=True),
    "RS256": partial(RSAAlgorithm.to_jwk, as_dict=True),
    "EdDSA": partial(OKPAlgorithm.to_jwk, as_dict=True),
}
# A key whose name contains no time was added by hand; it counts as the oldest.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class UnusableKey(ValueError):
    """A file holds no key of any algorithm; the message says why and never shows the content."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key; `private` signs, and only by its algorithm."""

    kid: str
    algorithm: Algorithm
    private: Any = field(repr=False, compare=False)

    @property
    def created_at(self) -> datetime:
        """The time of creation, from the id."""
        made = _KID.fullmatch(self.kid)
        return datetime.strptime(made[1], _KID_TIME).replace(tzinfo=UTC) if made else _LONG_AGO

    @property
    def weakness(self) -> str:
        """What is to be said against the key, in words; empty for a good one."""
        bits = self.private.key_size if isinstance(self.private, rsa.RSAPrivateKey) else _RSA_BITS
        return f"RSA with {bits} bits: replace it before 2031" if bits < _RSA_BITS else ""

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return self.kid + (SECRET if self.algorithm == "HS256" else PEM)

    @property
    def verifying(self) -> VerifyingKey:
        """The key that verifies its signatures; for HS256 the secret itself."""
        key = self.private if self.algorithm == "HS256" else self.private.public_key()
        return VerifyingKey(self.algorithm, key)

    @property
    def jwk(self) -> dict[str, str] | None:
        """The public key as a JSON Web Key (RFC 7517 §4); None for a secret, which is never published."""
        if self.algorithm == "HS256":
            return None
        public = _TO_JWK[self.algorithm](self.private.public_key())
        # RSA keys come with key_ops, which repeats use.
        members = {name: value for name, value in public.items() if isinstance(value, str)}
        return {**members, "kid": self.kid, "use": "sig", "alg": self.algorithm}


def create_key(folder: Path, algorithm: Algorithm, now: datetime) -> SigningKey:
    """Write a new key into `folder`, readable only by its owner, and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kid = f"{now.astimezone(UTC):{_KID_TIME}}-{secrets.token_hex(4)}"
    content = _MAKERS[algorithm]()
    key = SigningKey(kid, algorithm, None)
    path = folder / key.file_name
    # Written under another name first, so that services that watch the folder never read half a key.
    draft = folder / f".{path.name}"
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_bytes(content)
    draft.rename(path)
    return load_key(path)


def load_keys(folder: Path) -> list[SigningKey]:
    """Return the keys of a folder, which need not exist.

    Raises:
        UnusableKey: a file holds no key of any algorithm.
        OSError: a file cannot be read.
    """
    return [load_key(path) for path in key_files(folder)]


def key_files(folder: Path) -> list[Path]:
    """Return the files with keys; in a mounted Kubernetes Secret they are symbolic links."""
    return sorted(
        path for path in folder.glob("*") if path.suffix in {PEM, SECRET} and not path.name.startswith(".")
    )


def load_key(path: Path) -> SigningKey:
    """Return the key of a file.

    Raises:
        UnusableKey: it holds no key of any algorithm.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if path.suffix == SECRET:
        return SigningKey(path.stem, "HS256", _secret(path.name, content))
    try:
        private = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise UnusableKey(f"{path.name} is no unencrypted PEM key") from error
    return SigningKey(path.stem, _algorithm_of(path.name, private), private)


def _secret(name: str, content: bytes) -> bytes:
    secret = content.strip()
    if len(secret) < _SECRET_BYTES:
        raise UnusableKey(f"{name} has fewer than the {_SECRET_BYTES} bytes that HS256 takes")
    return secret


def _algorithm_of(name: str, private: object) -> Algorithm:
    match private:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return "ES256"
        case rsa.RSAPrivateKey(key_size=size) if size >= _MIN_RSA_BITS:
            return "RS256"
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
    raise UnusableKey(f"{name} is no P-256 key (ES256), RSA key of 2048 bits (RS256) or Ed25519 key (EdDSA)")


def _pem(private: Any) -> bytes:  # noqa: ANN401 - the three kinds of private keys share no base
    encoded: bytes = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


_MAKERS: dict[Algorithm, Callable[[], bytes]] = {
    "ES256": lambda: _pem(ec.generate_private_key(ec.SECP256R1())),
    "RS256": lambda: _pem(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)),
    "EdDSA": lambda: _pem(ed25519.Ed25519PrivateKey.generate()),
    # 256 random bits, as text that editors and Kubernetes Secrets keep unchanged.
    "HS256": lambda: secrets.token_hex(_SECRET_BYTES).encode(),
}
