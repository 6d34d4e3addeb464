"""Who may pass: access tokens are checked at the edge, before any upstream hears of the request."""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import jwt
import structlog

from services.gateway.auth.jwks import KeySet
from services.gateway.auth.revocations import EndedSessions
from services.gateway.upstream.client import ask
from services.gateway.upstream.pool import Upstream
from shared.errors import AppError, InternalError, Unauthorized, Unavailable
from shared.observability.metrics import AccessMetrics
from shared.security.access_tokens import LEEWAY_SECONDS, AccessToken, TokenVerifier, UnknownKey, bearer_token

_TOKENS_PATH = "/internal/tokens/"
_FOUND, _REFUSED = 200, 401
_MOST_VERIFIED = 16_384
# A verdict that only the auth service can give (HS256) is asked for again after this.
_ASKED_SECONDS = 60.0

log = structlog.get_logger()


class TokenRule(Enum):
    """What a route asks of a request's access token.

    `REQUIRED`: a valid one. `OPTIONAL`: none, or a valid one. `NONE`: it is not looked at.
    """

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class Applicant(Protocol):
    """Who wants to pass."""

    def admitted(self, identity: str) -> None:
        """Take the header lines that tell the upstream who it is; none for nobody."""

    def failed(self, error: AppError) -> None:
        """Take the refusal."""


@dataclass(frozen=True, slots=True)
class _Identity:
    session_id: str
    headers: str
    valid_until: float


class Access:
    """Admits requests by their tokens.

    A token is verified when first seen and remembered; whether its session has ended is looked up in
    memory each time. Only a token of an unknown key, or of HS256, makes a network call.

    Args:
        upstream: the auth service.
        max_age: seconds that the list of ended sessions is relied on without news.
        issuer: the tokens' iss claim.
        audience: the tokens' aud claim.
        metrics: counts the verdicts.
    """

    def __init__(
        self, upstream: Upstream, *, max_age: float, issuer: str, audience: str, metrics: AccessMetrics
    ) -> None:
        self._upstream = upstream
        self._verified: dict[str | None, _Identity] = {}
        self._keys = KeySet(upstream, metrics, self._verified.clear)
        self._verifier = TokenVerifier(self._keys.find, issuer=issuer, audience=audience)
        self.ended = EndedSessions(upstream, max_age, metrics)
        self._now = asyncio.get_running_loop().time
        outcomes = ("accepted", "anonymous", "missing", "invalid", "ended", "unavailable")
        self._counts = {outcome: metrics.token_checks.labels(outcome) for outcome in outcomes}
        self._tasks = {asyncio.create_task(self._keys.keep_up()), asyncio.create_task(self.ended.keep_up())}

    async def check(self) -> None:
        """Health check: raises `Unavailable` until tokens can be checked for the first time."""
        if not (self._keys.loaded and self.ended.loaded):
            raise Unavailable

    async def close(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def admit(self, authorization: str | None, rule: TokenRule, applicant: Applicant) -> None:
        """Admit or refuse a request, at once or when its token has been verified.

        Args:
            authorization: the request's `Authorization` header.
            rule: what the route asks for; not `NONE`.
            applicant: is told the verdict.
        """
        identity = self._verified.get(authorization)
        if identity is not None and identity.valid_until > time.time():
            self._conclude(identity, applicant)
            return
        token = bearer_token(authorization)
        if token is not None:
            self._keep(asyncio.create_task(self._verify(authorization, token, applicant)))
        elif rule is TokenRule.REQUIRED:
            self._refuse(applicant, Unauthorized(token_given=False), "missing")
        else:
            self._counts["anonymous"].inc()
            applicant.admitted("")

    def _conclude(self, identity: _Identity, applicant: Applicant) -> None:
        if self._now() > self.ended.reliable_until:
            self._refuse(applicant, Unavailable(), "unavailable")
        elif identity.session_id in self.ended.sessions:
            self._refuse(applicant, Unauthorized(token_given=True), "ended")
        else:
            self._counts["accepted"].inc()
            applicant.admitted(identity.headers)

    def _refuse(self, applicant: Applicant, error: AppError, outcome: str) -> None:
        self._counts[outcome].inc()
        applicant.failed(error)

    async def _verify(self, authorization: str | None, token: str, applicant: Applicant) -> None:
        try:
            identity = await self._identify(token)
        except Unauthorized as error:
            self._refuse(applicant, error, "invalid")
        except AppError as error:
            self._refuse(applicant, error, "unavailable")
        except Exception:
            log.exception("token_check_failed")
            applicant.failed(InternalError())
        else:
            self._remember(authorization, identity)
            self._conclude(identity, applicant)

    async def _identify(self, token: str) -> _Identity:
        try:
            return _identity(self._verifier.verify(token))
        except UnknownKey:
            if _algorithm(token) == "HS256":
                return await self._ask(token)
        try:
            await self._keys.renew()
        except AppError as error:
            raise Unavailable from error
        return _identity(self._verifier.verify(token))

    async def _ask(self, token: str) -> _Identity:
        """Have the auth service verify: the secret of HS256 would let the gateway make tokens, too."""
        try:
            status, document = await ask(self._upstream, "POST", _TOKENS_PATH, {"token": token})
        except AppError as error:
            raise Unavailable from error
        if status == _REFUSED:
            raise Unauthorized(token_given=True)
        if status != _FOUND:
            raise Unavailable
        return _identity(AccessToken(**document), time.time() + _ASKED_SECONDS)

    def _remember(self, authorization: str | None, identity: _Identity) -> None:
        if len(self._verified) >= _MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]  # the one verified longest ago
        self._verified[authorization] = identity

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _algorithm(token: str) -> str:
    return str(jwt.get_unverified_header(token).get("alg"))


def _identity(token: AccessToken, valid_until: float | None = None) -> _Identity:
    ends_at = token.expires_at + LEEWAY_SECONDS
    return _Identity(
        token.session_id,
        f"X-User-ID: {token.user_id}\r\nX-Session-ID: {token.session_id}\r\n",
        min(ends_at, valid_until or ends_at),
    )
