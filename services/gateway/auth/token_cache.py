"""The access tokens that have been verified, so that each is verified once."""

import hashlib
from dataclasses import dataclass

_MAX_BYTES = 8 * 1024 * 1024
# A session has one token at a time, and for some minutes the one before. A signature can be spelled in a
# few ways, so that one token could become many entries.
_MAX_PER_SESSION = 4
# Of an entry without its texts: its place in three dictionaries, and the objects.
_ENTRY_BYTES = 700


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a verified token stands for.

    Attributes:
        session_id: the session of the token.
        headers: header lines by which upstreams know the user and the session.
        valid_until: when the token expires or has to be verified again, as a Unix time.
    """

    session_id: str
    headers: str
    valid_until: float


class TokenCache:
    """Identities by the hash of their token.

    Bounded in bytes and per session; the oldest entry makes room. One user's tokens displace those of
    others only by opening sessions.

    Args:
        max_bytes: memory that the entries may take, estimated.
        max_per_session: tokens of one session.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES, max_per_session: int = _MAX_PER_SESSION) -> None:
        self._max_bytes = max_bytes
        self._max_per_session = max_per_session
        self._bytes = 0
        self._entries: dict[bytes, Identity] = {}
        self._of_session: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, token: str) -> Identity | None:
        """Return the identity of a token, or None."""
        return self._entries.get(token_hash(token))

    def put(self, token: str, identity: Identity) -> None:
        """Add a token that has just been verified."""
        key = token_hash(token)
        if key in self._entries:
            self._remove(key)
        keys = self._of_session.setdefault(identity.session_id, [])
        keys.append(key)
        self._entries[key] = identity
        self._bytes += _size(identity)
        if len(keys) > self._max_per_session:
            self._remove(keys[0])
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
        self._of_session.clear()
        self._bytes = 0

    def _remove(self, key: bytes) -> None:
        identity = self._entries.pop(key)
        self._bytes -= _size(identity)
        keys = self._of_session[identity.session_id]
        keys.remove(key)
        if not keys:
            del self._of_session[identity.session_id]


def token_hash(token: str) -> bytes:
    """Return what stands for a token: 32 bytes, whatever its length."""
    return hashlib.sha256(token.encode()).digest()


def _size(identity: Identity) -> int:
    return _ENTRY_BYTES + len(identity.headers) + len(identity.session_id)
