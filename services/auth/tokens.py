"""Access tokens: JWTs (RFC 7519, profile RFC 9068 where the origin's claims allow it)."""

import secrets
from datetime import datetime, timedelta

import jwt

from services.auth.domain import User
from services.auth.keys import ALGORITHM, KeyRing
from shared.errors import Unauthorized

_REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]
_LEEWAY_SECONDS = 5


class JwtTokens:
    """Issues and verifies access tokens.

    Args:
        keys: what signs and verifies.
        issuer: the iss claim.
        audience: the aud claim.
        ttl: seconds that a token is valid.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str, ttl: int) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._ttl = timedelta(seconds=ttl)
        self._jwt = jwt.PyJWT()

    def issue(self, user: User, session_id: str, now: datetime) -> str:
        """Return a signed access token with the registered claims, `sid`, and the origin's two."""
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "sid": session_id,
            "iat": now,
            "exp": now + self._ttl,
            "jti": secrets.token_hex(16),
            "uid": user.id,
            "nick": user.nick,
        }
        headers = {"kid": self._keys.signing_kid}
        return self._jwt.encode(claims, self._keys.signing_key, ALGORITHM, headers=headers)

    def verify(self, token: str) -> int:
        """Return the user id that a token was made for."""
        try:
            key = self._keys.public_key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise Unauthorized(token_given=True)
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED_CLAIMS},
            )
            return int(claims["sub"])
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthorized(token_given=True) from error
