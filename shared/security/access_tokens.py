"""Access tokens as their verifiers see them: the auth service itself, and every gateway.

JWTs (RFC 7519, profile RFC 9068 where the origin's claims allow it).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from shared.errors import Unauthorized

LEEWAY_SECONDS = 5
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750 §2.1), or None where it holds none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class UnknownKey(Unauthorized):
    """The token names a key that is not known (yet)."""

    def __init__(self) -> None:
        super().__init__(token_given=True)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a valid token says: whose it is, its session, and its end in seconds since 1970."""

    user_id: int
    session_id: str
    expires_at: int


class TokenVerifier:
    """Verifies access tokens.

    Args:
        find_key: returns the key of an id, or None.
        issuer: the iss claim.
        audience: the aud claim.
    """

    def __init__(self, find_key: Callable[[str], VerifyingKey | None], *, issuer: str, audience: str) -> None:
        self._find_key = find_key
        self._issuer = issuer
        self._audience = audience
        # A short secret is refused instead of warned about.
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})

    def verify(self, token: str) -> AccessToken:
        """Return what a valid token says.

        Raises:
            UnknownKey: its key is not known.
            Unauthorized: it is malformed, forged, expired, or of another issuer or audience.
        """
        try:
            key = self._find_key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise UnknownKey
            claims = self._jwt.decode(
                token,
                key.key,
                # The key's own: what the token's header says about it is the sender's wish.
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED_CLAIMS},
            )
            return AccessToken(int(claims["sub"]), str(claims["sid"]), int(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthorized(token_given=True) from error
