"""The keys that access tokens are verified with, as the auth service publishes them (RFC 7517)."""

import asyncio
from collections.abc import Callable
from typing import Any

import jwt
import structlog

from services.gateway.upstream.client import ask
from services.gateway.upstream.pool import Upstream
from shared.errors import AppError, BadGateway, Unavailable
from shared.observability.metrics import AccessMetrics
from shared.security.access_tokens import VerifyingKey

_PATH = "/.well-known/jwks.json"
# New keys are published long before they sign. Keys that are taken away are gone here after this.
_RENEW_SECONDS = 10.0
_RETRY_SECONDS = 0.5
# Unknown key ids are free to invent: whatever comes, the auth service is asked once a second at most.
_BETWEEN_SECONDS = 1.0
_ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
_FOUND = 200

log = structlog.get_logger()


class KeySet:
    """The published keys by id.

    Args:
        upstream: the auth service.
        metrics: counts what was fetched.
        on_removed: called when a key is published no more.
    """

    def __init__(self, upstream: Upstream, metrics: AccessMetrics, on_removed: Callable[[], None]) -> None:
        self._upstream = upstream
        self._metrics = metrics
        self._on_removed = on_removed
        self._keys: dict[str, VerifyingKey] = {}
        self._now = asyncio.get_running_loop().time
        self._began = float("-inf")
        self._next: asyncio.Task[None] | None = None
        self.loaded = False

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the key with an id."""
        return self._keys.get(kid)

    async def keep_up(self) -> None:
        """Fetch the keys now and then, for ever."""
        while True:
            try:
                await self.renew()
            except AppError as error:
                log.warning("key_set_unknown", problem=error.slug)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await asyncio.sleep(_RENEW_SECONDS)

    async def renew(self) -> None:
        """Return once the keys have been fetched anew; everybody who waits shares a fetch.

        Raises:
            AppError: they could not be had; the known ones stay in force.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._fetch_when_due())
        await asyncio.shield(self._next)

    async def _fetch_when_due(self) -> None:
        await asyncio.sleep(max(0.0, self._began + _BETWEEN_SECONDS - self._now()))
        self._began = self._now()
        self._next = None  # whoever comes from now on may know of a newer key
        try:
            keys = await self._fetch()
        except AppError:
            self._metrics.key_set_fetches.labels("failed").inc()
            raise
        self._metrics.key_set_fetches.labels("done").inc()
        removed = self._keys.keys() - keys.keys()
        self._keys = keys
        self.loaded = True
        if removed:
            self._on_removed()

    async def _fetch(self) -> dict[str, VerifyingKey]:
        status, document = await ask(self._upstream, "GET", _PATH)
        if status != _FOUND:
            raise Unavailable
        try:
            return {str(jwk["kid"]): _verifying(jwk) for jwk in document["keys"] if _usable(jwk)}
        except (KeyError, TypeError, AttributeError, ValueError, jwt.PyJWTError) as error:
            raise BadGateway from error


def _usable(jwk: dict[str, Any]) -> bool:
    # Keys of a kind that a later version may publish are none of this one's business; secrets never are.
    return jwk.get("alg") in _ALGORITHMS


def _verifying(jwk: dict[str, Any]) -> VerifyingKey:
    return VerifyingKey(str(jwk["alg"]), jwt.PyJWK(jwk).key)
