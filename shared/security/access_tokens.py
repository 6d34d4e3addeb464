"""Verification of access tokens, in auth and in the gateway.

They are JWTs (RFC 7519, with the profile of RFC 9068 where the claims of the original API allow it).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from shared.errors import Unauthorized

LEEWAY_SECONDS = 5
# In characters. Ours have 600 with ES256 and 1,100 with a large RSA key, without the claims of an operator.
MAX_TOKEN_LENGTH = 8192
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750 §2.1), or None."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class UnknownKey(Unauthorized):
    """The key of the token is unknown."""

    def __init__(self) -> None:
        super().__init__(token_given=True)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key and its only permitted algorithm."""

    algorithm: str
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a valid token; `expires_at` is a Unix time."""

    user_id: int
    session_id: str
    expires_at: int


class TokenVerifier:
    """Verifies access tokens.

    Args:
        find_key: returns the key with an id, or None.
        issuer: the iss claim.
        audience: the aud claim.
    """

    def __init__(self, find_key: Callable[[str], VerifyingKey | None], *, issuer: str, audience: str) -> None:
        self._find_key = find_key
        self._issuer = issuer
        self._audience = audience
        # PyJWT only warns about short keys by default.
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})

    def verify(self, token: str) -> AccessToken:
        """Return the claims of a valid token.

        Raises:
            UnknownKey: its key is unknown.
            Unauthorized: it is malformed, forged, expired, too long, or for another issuer or audience.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized(token_given=True)
        try:
            key = self._find_key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise UnknownKey
            claims = self._jwt.decode(
                token,
                key.key,
                # The algorithm of the key, because the header's is chosen by the sender.
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED_CLAIMS},
            )
            return AccessToken(int(claims["sub"]), str(claims["sid"]), int(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthorized(token_given=True) from error
