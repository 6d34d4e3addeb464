"""Authentication: access tokens are checked here, before a request is forwarded."""

import asyncio
import time
from dataclasses import dataclass

import jwt
import structlog

from services.gateway.auth.jwks import Jwks
from services.gateway.auth.revocations import Revocations
from services.gateway.upstream.client import UpstreamClient
from shared.errors import AppError, InternalError, Unauthorized, Unavailable
from shared.observability.metrics import TokenMetrics
from shared.security.access_tokens import LEEWAY_SECONDS, AccessToken, TokenVerifier, UnknownKey, bearer_token

_VERIFY_PATH = "/internal/tokens/"
_OK, _UNAUTHORIZED = 200, 401
_MAX_CACHED = 16_384
# HS256 tokens are verified by the auth service; the result is cached for this time.
_REMOTE_CACHE_SECONDS = 60.0
_OUTCOMES = ("accepted", "anonymous", "missing", "invalid", "ended", "unavailable")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Identity:
    session_id: str
    headers: str
    valid_until: float


class Authenticator:
    """Checks access tokens and returns the header lines by which upstreams know the user.

    A token is verified when first seen, and the result is cached; whether its session has ended is
    looked up in memory for every request. Only a token of an unknown key, or of HS256, makes a network
    call.

    Args:
        client: of the auth service, which verifies HS256 tokens.
        jwks: the keys of all other tokens.
        revocations: the sessions whose tokens are refused.
        issuer: the tokens' iss claim.
        audience: the tokens' aud claim.
        metrics: counts outcomes.
    """

    def __init__(
        self,
        client: UpstreamClient,
        jwks: Jwks,
        revocations: Revocations,
        *,
        issuer: str,
        audience: str,
        metrics: TokenMetrics,
    ) -> None:
        self._client = client
        self._jwks = jwks
        self._revocations = revocations
        self._verifier = TokenVerifier(jwks.find, issuer=issuer, audience=audience)
        self._cache: dict[str | None, _Identity] = {}  # by Authorization header
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
            Unauthorized: there is no token, or its session has ended.
            Unavailable: it is unknown whether its session has ended.
        """
        identity = self._cache.get(authorization)
        if identity is not None and identity.valid_until > time.time():
            return self._accept(identity)
        if bearer_token(authorization) is not None:
            return None
        if required:
            self._counts["missing"].inc()
            raise Unauthorized(token_given=False)
        self._counts["anonymous"].inc()
        return ""

    async def authenticate(self, authorization: str | None) -> str:
        """Verify a request's token, cache it, and return the header lines.

        Raises:
            Unauthorized: the token is invalid, or its session has ended.
            Unavailable: the token cannot be checked at the moment.
            InternalError: there was an unexpected error, which has been logged.
        """
        try:
            identity = await self._verify(bearer_token(authorization) or "")
        except Unauthorized:
            self._counts["invalid"].inc()
            raise
        except AppError:
            self._counts["unavailable"].inc()
            raise
        except Exception as error:
            log.exception("token_check_failed")
            raise InternalError from error
        if len(self._cache) >= _MAX_CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest entry
        self._cache[authorization] = identity
        return self._accept(identity)

    def _accept(self, identity: _Identity) -> str:
        """Return the header lines of a verified token, unless its session has ended."""
        if self._now() > self._revocations.trusted_until:
            self._counts["unavailable"].inc()
            raise Unavailable
        if identity.session_id in self._revocations.sessions:
            self._counts["ended"].inc()
            raise Unauthorized(token_given=True)
        self._counts["accepted"].inc()
        return identity.headers

    async def _verify(self, token: str) -> _Identity:
        try:
            return _identity(self._verifier.verify(token))
        except UnknownKey:
            if _algorithm(token) == "HS256":
                return await self._verify_remotely(token)
        try:
            await self._jwks.refresh()
        except AppError as error:
            raise Unavailable from error
        return _identity(self._verifier.verify(token))

    async def _verify_remotely(self, token: str) -> _Identity:
        """Let the auth service verify: with the secret of HS256 the gateway could issue tokens, too."""
        try:
            status, document = await self._client.request("POST", _VERIFY_PATH, {"token": token})
        except AppError as error:
            raise Unavailable from error
        if status == _UNAUTHORIZED:
            raise Unauthorized(token_given=True)
        if status != _OK:
            raise Unavailable
        return _identity(AccessToken(**document), time.time() + _REMOTE_CACHE_SECONDS)


def _algorithm(token: str) -> str:
    return str(jwt.get_unverified_header(token).get("alg"))


def _identity(token: AccessToken, valid_until: float | None = None) -> _Identity:
    expires_at = token.expires_at + LEEWAY_SECONDS
    return _Identity(
        token.session_id,
        f"X-User-ID: {token.user_id}\r\nX-Session-ID: {token.session_id}\r\n",
        min(expires_at, valid_until or expires_at),
    )
