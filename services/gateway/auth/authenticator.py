"""Authentication: access tokens are checked here, before a request is forwarded."""

import asyncio
import time

import jwt
import structlog

from services.gateway.auth.jwks import Jwks
from services.gateway.auth.remote_verifier import RemoteVerifier
from services.gateway.auth.revocations import Revocations
from services.gateway.auth.token_cache import Identity, TokenCache
from shared.errors import AppError, InternalError, TooManyRequests, Unauthorized, Unavailable
from shared.observability.metrics import TokenMetrics
from shared.security.access_tokens import AccessToken, TokenVerifier, UnknownKey, bearer_token

# HS256 tokens are verified by the auth service; the result is cached for this time.
_REMOTE_CACHE_SECONDS = 60.0
_USUAL = "Bearer "
_OUTCOMES = ("accepted", "anonymous", "missing", "invalid", "limited", "ended", "unavailable")

log = structlog.get_logger()


class Authenticator:
    """Checks access tokens and returns the header lines by which upstreams know the user.

    A token is verified when first seen, and the result is cached; whether its session has ended is
    looked up in memory for every request. Only a token of an unknown key, or of HS256, makes a network
    call.

    Args:
        remote: verifies HS256 tokens.
        jwks: the keys of all other tokens.
        revocations: the sessions whose tokens are refused.
        issuer: the tokens' iss claim.
        audience: the tokens' aud claim.
        metrics: counts outcomes.
    """

    def __init__(
        self,
        remote: RemoteVerifier,
        jwks: Jwks,
        revocations: Revocations,
        *,
        issuer: str,
        audience: str,
        metrics: TokenMetrics,
    ) -> None:
        self._remote = remote
        self._jwks = jwks
        self._revocations = revocations
        self._verifier = TokenVerifier(jwks.find, issuer=issuer, audience=audience)
        self._cache = TokenCache()
        jwks.on_removed = self._cache.clear
        self._now = asyncio.get_running_loop().time
        self._counts = {outcome: metrics.token_checks.labels(outcome) for outcome in _OUTCOMES}

    async def check(self) -> None:
        """Health check: raises `Unavailable` until tokens can be checked for the first time."""
        if not (self._jwks.loaded and self._revocations.loaded):
            raise Unavailable

    def authenticate_cached(self, authorization: str | None, *, required: bool) -> str | None:
        """Authenticate a request without waiting.

        Args:
            authorization: the request's `Authorization` header.
            required: whether a request without a token is refused.

        Returns:
            header lines that name the user and the session, empty for a request without a token; None
            if the token has to be verified by `authenticate`.

        Raises:
            Unauthorized: there is no token, the header is malformed, or the session has ended.
            Unavailable: it is unknown whether the session has ended.
        """
        if authorization and authorization.startswith(_USUAL):  # the usual spelling; parsing costs more
            identity = self._cache.get(authorization[len(_USUAL) :])
            if identity is not None and identity.valid_until > time.time():
                return self._accept(identity)
        try:
            token = bearer_token(authorization)
        except Unauthorized:
            self._counts["invalid"].inc()
            raise
        if token is not None:
            identity = self._cache.get(token)
            if identity is None or identity.valid_until <= time.time():
                return None
            return self._accept(identity)
        if required:
            self._counts["missing"].inc()
            raise Unauthorized(token_given=False)
        self._counts["anonymous"].inc()
        return ""

    async def authenticate(self, authorization: str | None, client: str) -> str:
        """Verify a request's token, cache it, and return the header lines.

        Args:
            authorization: the request's `Authorization` header.
            client: the client's address.

        Raises:
            Unauthorized: the token is invalid, or its session has ended.
            TooManyRequests: the client has sent too many invalid tokens.
            Unavailable: the token cannot be checked at the moment.
            InternalError: there was an unexpected error, which has been logged.
        """
        try:
            token = bearer_token(authorization) or ""
            identity = await self._verify(token, client)
        except Unauthorized:
            self._counts["invalid"].inc()
            raise
        except TooManyRequests:
            self._counts["limited"].inc()
            raise
        except AppError:
            self._counts["unavailable"].inc()
            raise
        except Exception as error:
            log.exception("token_check_failed")
            raise InternalError from error
        self._cache.put(token, identity)
        return self._accept(identity)

    def _accept(self, identity: Identity) -> str:
        """Return the header lines of a verified token, unless its session has ended."""
        if self._now() > self._revocations.trusted_until:
            self._counts["unavailable"].inc()
            raise Unavailable
        if identity.session_id in self._revocations.sessions:
            self._counts["ended"].inc()
            raise Unauthorized(token_given=True)
        self._counts["accepted"].inc()
        return identity.headers

    async def _verify(self, token: str, client: str) -> Identity:
        try:
            return _identity(self._verifier.verify(token))
        except UnknownKey:
            header = jwt.get_unverified_header(token)
            if header.get("alg") == "HS256":
                return await self._verify_remotely(token, str(header.get("kid")), client)
        try:
            await self._jwks.refresh()
        except AppError as error:
            raise Unavailable from error
        return _identity(self._verifier.verify(token))

    async def _verify_remotely(self, token: str, kid: str, client: str) -> Identity:
        self._verifier.check_claims(token)  # expired tokens cost no call
        verified = await self._remote.verify(token, kid, client)
        return _identity(verified, time.time() + _REMOTE_CACHE_SECONDS)


def _identity(token: AccessToken, valid_until: float | None = None) -> Identity:
    expires_at = token.expires_at
    return Identity(
        token.session_id,
        f"X-User-ID: {token.user_id}\r\nX-Session-ID: {token.session_id}\r\n",
        min(expires_at, valid_until or expires_at),
    )
