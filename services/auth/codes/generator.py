"""One-time codes, derived from a nonce.

Redis holds the nonce and a proof; neither reveals the code or the number without the secret. A resend
derives the same code again from the stored nonce.
"""

import secrets

from services.auth.keyed_hash import KeyedHash
from shared.contracts.messages import Purpose

# With 16 bytes for 6 digits: the length of a nonce tells the length of its code, so that after a change of
# CODE_LENGTH no code is sent again that was never valid.
_MORE_BYTES_THAN_DIGITS = 10


def new_nonce(digits: int = 6) -> str:
    """Return the nonce of a code: at least 112 bits from the system's secure generator, in hexadecimal."""
    return secrets.token_hex(digits + _MORE_BYTES_THAN_DIGITS)


class CodeGenerator:
    """Derives codes from nonces by HMAC-SHA256 (truncated as in RFC 4226, but from 64 bits).

    Args:
        keyed_hash: holds the secret.
        length: digits of a code.
    """

    def __init__(self, keyed_hash: KeyedHash, length: int) -> None:
        self._hash = keyed_hash
        self._length = length

    def new_nonce(self) -> str:
        """Return a nonce for a code of the generator's length."""
        return new_nonce(self._length)

    def code(self, mobile: str, purpose: Purpose, nonce: str) -> str:
        """Return the code of a nonce, bound to its number and purpose."""
        digest = self._hash.digest("code", mobile, purpose, nonce)
        # 64 bits against at most 8 digits: the bias is below 10^-11.
        number = int.from_bytes(digest[:8], "big") % 10**self._length
        return str(number).zfill(self._length)

    def proof(self, mobile: str, purpose: Purpose, code: str) -> str:
        """Return the hash by which Redis recognises a code."""
        return self._hash.digest("proof", mobile, purpose, code).hex()
