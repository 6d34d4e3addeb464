"""The signing keys: PEM files in a folder, the file's name being the key's id."""

import secrets
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ALGORITHM = "ES256"


class NoSigningKey(Exception):
    """The folder holds no usable key; the message names the setting and the way out."""


def create_key(folder: Path, now: datetime) -> str:
    """Write a new P-256 key into `folder`, readable by its owner alone, and return its id.

    Ids begin with the time, so that the newest key sorts last.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kid = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / f"{kid}.pem"
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(pem)
    return kid


class KeyRing:
    """The keys of a folder: the newest signs, all of them verify.

    Raises:
        NoSigningKey: the folder is missing, empty, or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.pem"))
        if not paths:
            raise NoSigningKey(
                f"SIGNING_KEYS_DIR holds no *.pem file: {folder}; "
                "make one with python -m services.auth key create"
            )
        self._keys = {path.stem: _load(path) for path in paths}
        self.signing_kid = paths[-1].stem

    @property
    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """The newest key."""
        return self._keys[self.signing_kid]

    def public_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key that verifies what `kid` signed, or None for an unknown one."""
        key = self._keys.get(kid)
        return key.public_key() if key else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JSON Web Key Set (RFC 7517 §5)."""
        return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise NoSigningKey(f"SIGNING_KEYS_DIR: {path.name} is no unencrypted PEM key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NoSigningKey(f"SIGNING_KEYS_DIR: {path.name} is no P-256 key, which ES256 takes")
    return key


def _jwk(kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": ALGORITHM}
