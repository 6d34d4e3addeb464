"""What is derived from the code secret: codes, their proofs, and the names of Redis keys.

Redis holds a random nonce and a proof, neither of which reveals the code or the number without the
secret. A resend derives the same code again from the stored nonce.
"""

import hmac
import secrets
from functools import lru_cache

from shared.contracts.messages import Purpose

_NONCE_BYTES = 16
_KEY_BYTES = 16
# One request asks for some names more than once, many requests for those of a network they share.
_REMEMBERED_NAMES = 4096


def new_nonce() -> str:
    """Return 128 bits from the system's secure generator, in hexadecimal."""
    return secrets.token_hex(_NONCE_BYTES)


class CodeSecrets:
    """Derives codes from nonces by HMAC-SHA256 (the truncation is that of RFC 4226, on 64 bits).

    Args:
        secret: at least 32 characters, shared by all replicas.
        length: digits of a code.
    """

    def __init__(self, secret: str, length: int) -> None:
        self._secret = secret.encode()
        self._length = length
        self._name = lru_cache(_REMEMBERED_NAMES)(self._derive_name)

    def code(self, mobile: str, purpose: Purpose, nonce: str) -> str:
        """Return the code that a nonce stands for, bound to its number and purpose."""
        digest = self._hmac("code", mobile, purpose, nonce)
        # 64 bits against at most 8 digits: the bias is below 10^-11.
        number = int.from_bytes(digest[:8], "big") % 10**self._length
        return str(number).zfill(self._length)

    def proof(self, mobile: str, purpose: Purpose, code: str) -> str:
        """Return what Redis keeps to recognise a code; useless for finding it without the secret."""
        return self._hmac("proof", mobile, purpose, code).hex()

    def key(self, mobile: str) -> str:
        """Return the pseudonym of a number in the names of keys."""
        return self._name("key", mobile)

    def pseudonym(self, kind: str, value: str) -> str:
        """Return what stands for an address, a network or a group of numbers in the names of keys."""
        return self._name("pseudonym", kind, value)

    def subject(self, mobile: str) -> str:
        """Return what ties a challenge to a number; clients see it, so no key is named like it."""
        return self._derive_name("subject", mobile)

    def challenge_key(self) -> bytes:
        """Return the key that signs challenges."""
        return self._hmac("challenges")

    def _derive_name(self, *parts: str) -> str:
        return self._hmac(*parts)[:_KEY_BYTES].hex()

    def _hmac(self, *parts: str) -> bytes:
        return hmac.digest(self._secret, "\0".join(parts).encode(), "sha256")
