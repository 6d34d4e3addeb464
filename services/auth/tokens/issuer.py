"""Issuing access tokens; `shared.security.access_tokens` verifies them, here as at the gateways."""

import secrets
from datetime import datetime

import jwt

from services.auth.models import User
from services.auth.tokens.key_ring import KeyRing
from shared.security.access_tokens import AccessToken, TokenVerifier


class JwtTokens:
    """Issues and verifies access tokens.

    Args:
        keys: what signs and verifies.
        issuer: the iss claim.
        audience: the aud claim.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._verifier = TokenVerifier(keys.find, issuer=issuer, audience=audience)

    def issue(self, user: User, session_id: str, now: datetime, expires_at: datetime) -> str:
        """Return a signed access token with the registered claims, `sid`, and the origin's two."""
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
        key = self._keys.signing_key(now)
        return self._jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.kid})

    def verify(self, token: str) -> AccessToken:
        """Return what a valid token says."""
        return self._verifier.verify(token)
