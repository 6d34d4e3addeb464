"""Issuing access tokens; `shared.security.access_tokens` verifies them, here and at the gateways."""

import secrets
from datetime import datetime

import jwt

from services.auth.models import User
from services.auth.tokens.key_ring import KeyRing
from shared.security.access_tokens import AccessToken, TokenVerifier


class AccessTokenIssuer:
    """Issues and verifies access tokens.

    Args:
        keys: the signing keys.
        issuer: the iss claim.
        audience: the aud claim.

    Attributes:
        keys: the signing keys.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._verifier = TokenVerifier(keys.find, issuer=issuer, audience=audience)

    def issue(
        self,
        user: User,
        session_id: str,
        now: datetime,
        expires_at: datetime,
        authenticated_at: datetime | None = None,
    ) -> str:
        """Return a signed JWT with the registered claims, `sid`, and the origin's `uid` and `nick`.

        `authenticated_at`, when the user last gave a password or a code, is the claim `auth_time` (OpenID
        Connect Core §2).
        """
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "sid": session_id,
            "iat": now,
            "exp": expires_at,
            "jti": secrets.token_hex(16),
            "uid": user.id,
            "nick": user.nick,
        }
        if authenticated_at is not None:
            claims["auth_time"] = int(authenticated_at.timestamp())
        key = self.keys.signing_key(now)
        return self._jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.kid})

    def verify(self, token: str) -> AccessToken:
        """Return the claims of a valid token.

        Raises:
            Unauthorized: it is malformed, forged, expired, or of another issuer or audience.
        """
        return self._verifier.verify(token)
