"""What stands for a number where the number itself must not be kept."""

import hmac

_BYTES = 16


class Pseudonyms:
    """Keyed hashes of numbers; without the secret nobody finds a number by trying all of them.

    Args:
        secret: at least 32 characters; with another one, earlier pseudonyms are found no more.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, mobile: str) -> str:
        """Return the pseudonym of a number, 32 hexadecimal digits."""
        return hmac.digest(self._secret, f"pseudonym\0{mobile}".encode(), "sha256")[:_BYTES].hex()
