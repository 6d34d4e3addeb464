"""Keyed hashes: what stands for numbers and addresses in Redis keys, challenges and the audit trail."""

import hmac
from functools import lru_cache

_NAME_BYTES = 16
_CLIENT_DIGITS = 12
# One request asks for some names more than once, and many requests share those of their network.
_CACHE_SIZE = 4096


class KeyedHash:
    """HMAC-SHA256 under the code secret; without it, trying all numbers reveals none of them.

    Args:
        secret: at least 32 characters, shared by all replicas. With another secret, what was stored
            under the earlier hashes is no longer found.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._cached_name = lru_cache(_CACHE_SIZE)(self._name)

    def digest(self, *parts: str) -> bytes:
        """Return 32 bytes; the first part names the use, so that uses cannot be mixed up."""
        return hmac.digest(self._secret, "\0".join(parts).encode(), "sha256")

    def mobile(self, mobile: str) -> str:
        """Return the hash that stands for a number in the names of Redis keys, 32 hex digits."""
        return self._cached_name("key", mobile)

    def name(self, kind: str, value: str) -> str:
        """Return the hash that stands for an address, a network or a prefix in the names of Redis keys."""
        return self._cached_name("pseudonym", kind, value)

    def client(self, address: str) -> str:
        """Return what stands for a client's address in log lines, 12 hex digits; no key is named like it."""
        return self._cached_name("client", address)[:_CLIENT_DIGITS]

    def audit_mobile(self, mobile: str) -> str:
        """Return the hash that stands for a number in the audit trail; no Redis key is named like it."""
        return self._name("pseudonym", mobile)

    def challenge_subject(self, mobile: str) -> str:
        """Return the hash that binds a challenge to a number; clients see it, so no key is named like it."""
        return self._name("subject", mobile)

    def challenge_key(self) -> bytes:
        """Return the key that signs challenges."""
        return self.digest("challenges")

    def _name(self, *parts: str) -> str:
        return self.digest(*parts)[:_NAME_BYTES].hex()
