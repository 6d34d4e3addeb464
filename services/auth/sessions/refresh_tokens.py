"""Refresh tokens: a chain of secrets for each session, of which the database has hashes alone.

A token holds its session's id, its place in the chain, a secret, and a tag. The first secret is random;
each next one is derived from the one before by a key that only the session's row holds. Hence

- requests that use one token at the same time, in whatever process, arrive at the same next token:
  the chain cannot fork, and each of them gets a token that works;
- neither the row (key and hash) nor an old token alone leads to the token that is good now;
- the tag tells an old token of the session, of which nothing is stored any more, from an invented one.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256

_ID_BYTES = 16
_GENERATION_BYTES = 4
_SECRET_BYTES = 32
_TAG_BYTES = 16
_SECRET_AT = _ID_BYTES + _GENERATION_BYTES
_TAG_AT = _SECRET_AT + _SECRET_BYTES
_BYTES = _TAG_AT + _TAG_BYTES


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token taken apart; whether it is genuine, only its session's chain can tell."""

    session_id: str
    generation: int
    secret: bytes = field(repr=False)
    tag: bytes = field(repr=False)

    @property
    def hash(self) -> str:
        """What the database knows of the token. 256 random bits need no slow hash."""
        return sha256(self.secret).hexdigest()

    def __str__(self) -> str:
        """The token as clients have it."""
        parts = bytes.fromhex(self.session_id) + self.generation.to_bytes(_GENERATION_BYTES, "big")
        return urlsafe_b64encode(parts + self.secret + self.tag).decode().rstrip("=")


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Take a token apart; None for what never was one."""
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    if len(content) != _BYTES:
        return None
    generation = int.from_bytes(content[_ID_BYTES:_SECRET_AT], "big")
    return RefreshToken(content[:_ID_BYTES].hex(), generation, content[_SECRET_AT:_TAG_AT], content[_TAG_AT:])


def new_session_id() -> str:
    """Return 128 bits from the system's secure generator, in hexadecimal."""
    return secrets.token_hex(_ID_BYTES)


def new_chain_key() -> str:
    """Return the key of a new session's chain, in hexadecimal."""
    return secrets.token_hex(_SECRET_BYTES)


class Chain:
    """The tokens of one session.

    Args:
        session_id: the session's id.
        key: the chain's key.
    """

    def __init__(self, session_id: str, key: str) -> None:
        self._session_id = session_id
        self._key = bytes.fromhex(key)

    def first(self) -> RefreshToken:
        """Return a first token."""
        return self._token(0, secrets.token_bytes(_SECRET_BYTES))

    def next(self, token: RefreshToken) -> RefreshToken:
        """Return the token that follows a genuine one; the same one each time."""
        secret = hmac.digest(self._key, b"next" + token.secret, "sha256")
        return self._token(token.generation + 1, secret)

    def is_genuine(self, token: RefreshToken) -> bool:
        """Tell whether the session has had this token."""
        return hmac.compare_digest(self._token(token.generation, token.secret).tag, token.tag)

    def _token(self, generation: int, secret: bytes) -> RefreshToken:
        tagged = b"tag" + generation.to_bytes(_GENERATION_BYTES, "big") + secret
        tag = hmac.digest(self._key, tagged, "sha256")[:_TAG_BYTES]
        return RefreshToken(self._session_id, generation, secret, tag)
