"""Authenticated encryption of message contents under a shared secret, so that brokers cannot read them."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PURPOSE = b"dialpass sealed messages"


class CannotOpen(ValueError):
    """None of the secrets decrypts the content: it was sealed with another one, or changed."""


class Sealer:
    """Encrypts with AES-256-GCM; the key is derived from a secret by HKDF.

    Args:
        secrets: the first one seals, all of them open. To rotate, append the new secret, then move it
            to the front, then remove the old one, each time on all processes.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._ciphers = [AESGCM(_derive(secret)) for secret in secrets]

    def seal(self, content: bytes, context: str) -> str:
        """Encrypt `content`; it can only be opened with the same `context`, which is not secret."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._ciphers[0].encrypt(nonce, content, context.encode())).decode()

    def open(self, sealed: str, context: str) -> bytes:
        """Decrypt a sealed content.

        Raises:
            CannotOpen: no secret matches, or the content or the context was changed.
        """
        try:
            raw = urlsafe_b64decode(sealed)
        except ValueError as error:
            raise CannotOpen from error
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
            except (InvalidTag, ValueError):
                continue
        raise CannotOpen


def _derive(secret: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
