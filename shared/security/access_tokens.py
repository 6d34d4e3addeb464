"""Verification of access tokens, in auth and in the gateway.

They are JWTs (RFC 7519, with the profile of RFC 9068 where the claims of the original API allow it).
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.types import Options

from shared.errors import Unauthorized

# How far the clocks of auth and of those that verify may differ: a token may seem to come from the future. It
# expires when the clock of who verifies it says so; else a clock that is behind would add to its lifetime.
LEEWAY_SECONDS = 60
# In characters; our tokens have 400 to 1000.
MAX_TOKEN_LENGTH = 4096
MAX_AUTHORIZATION_LENGTH = MAX_TOKEN_LENGTH + len("Bearer ")
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]
# PyJWT has one leeway for all times, so `exp` is checked here.
_WITH_SIGNATURE: Options = {"require": _REQUIRED_CLAIMS, "verify_exp": False}
_WITHOUT_SIGNATURE: Options = {
    "require": _REQUIRED_CLAIMS,
    "verify_signature": False,
    "verify_exp": False,
    # PyJWT's defaults for these are then False.
    "verify_iat": True,
    "verify_nbf": True,
    "verify_aud": True,
    "verify_iss": True,
    "verify_sub": True,
}
_BEARER = re.compile(r"bearer(?: +([A-Za-z0-9\-._~+/]+=*))?", re.ASCII | re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", re.ASCII)
# Three parts in base64url (RFC 7515 §7.1). PyJWT ignores other characters, so that one token would have
# any number of spellings.
_COMPACT = re.compile(r"[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+", re.ASCII)
# Of an access token, and of no other kind of JWT (RFC 8725 §3.11): PyJWT's default, and RFC 9068's.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_SUBJECT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
# It becomes a header of forwarded requests.
_SESSION_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", re.ASCII)


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750 §2.1).

    Returns:
        None if there is no token: no header, one of another scheme, or one that ends after `Bearer`.

    Raises:
        Unauthorized: the header is malformed or too long, or there is more than one.
    """
    if not authorization:
        return None
    if len(authorization) > MAX_AUTHORIZATION_LENGTH:
        raise Unauthorized(token_given=True)
    bearer = _BEARER.fullmatch(authorization)
    if bearer is not None:
        return bearer[1]
    scheme = _SCHEME.match(authorization)
    # Tornado joins the values of repeated headers with a comma.
    repeated = "," in authorization and "bearer" in authorization.lower()
    if scheme is None or scheme[0].lower() == "bearer" or repeated:
        raise Unauthorized(token_given=True)
    return None


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
            Unauthorized: it is malformed, forged, expired, too long, of another kind, or for another
                issuer or audience.
        """
        if len(token) > MAX_TOKEN_LENGTH or not _COMPACT.fullmatch(token):
            raise Unauthorized(token_given=True)
        try:
            key = self._find_key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise UnknownKey
            return self._decode(token, key)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise Unauthorized(token_given=True) from error

    def check_claims(self, token: str) -> None:
        """Refuse a token that is not valid whatever its signature, before another service verifies that.

        Raises:
            Unauthorized: it is malformed, expired, of another kind, or for another issuer or audience.
        """
        try:
            self._decode(token, None)
        # What PyJWT raises for claims of odd types, which nobody has signed.
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthorized(token_given=True) from error

    def _decode(self, token: str, key: VerifyingKey | None) -> AccessToken:
        decoded = self._jwt.decode_complete(
            token,
            key.key if key else "",
            # The algorithm of the key, because the header's is chosen by the sender.
            algorithms=[key.algorithm] if key else None,
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options=_WITH_SIGNATURE if key else _WITHOUT_SIGNATURE,
        )
        return _access_token(decoded["header"], decoded["payload"])


def _access_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> AccessToken:
    """Return the claims that are used.

    Raises:
        ValueError: it is another kind of JWT, or a claim has another form than ours.
        ExpiredSignatureError: it has expired.
    """
    subject, session_id, expires_at = claims["sub"], claims["sid"], int(claims["exp"])
    if str(header.get("typ")).lower() not in _TYPES:
        raise ValueError("another kind of JWT")
    if not (_SUBJECT.fullmatch(subject) and _SESSION_ID.fullmatch(str(session_id))):
        raise ValueError("no id of a user or a session")
    if expires_at <= time.time():
        raise jwt.ExpiredSignatureError("expired")
    return AccessToken(int(subject), str(session_id), expires_at)
