"""The keys that verify access tokens, as the auth service publishes them (JWKS, RFC 7517)."""

import asyncio
from collections.abc import Callable

import jwt

from services.gateway.upstream.client import UpstreamClient
from shared.errors import AppError, BadGateway, Unavailable
from shared.observability.failure_log import FailureLog
from shared.observability.metrics import TokenMetrics
from shared.security.access_tokens import VerifyingKey

_PATH = "/.well-known/jwks.json"
# New keys are published long before they sign; removed ones are forgotten within this time.
_REFRESH_INTERVAL = 10.0
_RETRY_INTERVAL = 0.5
# Anybody can send tokens with unknown key ids: the auth service is asked once a second at most.
_MIN_INTERVAL = 1.0
_ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
_OK = 200


class Jwks:
    """A cache of the published keys by id.

    Args:
        client: of the auth service.
        metrics: counts fetches.

    Attributes:
        loaded: whether the keys have been fetched since the start.
        on_removed: called after a key has been removed.
    """

    def __init__(self, client: UpstreamClient, metrics: TokenMetrics) -> None:
        self._client = client
        self._metrics = metrics
        self._keys: dict[str, VerifyingKey] = {}
        self._now = asyncio.get_running_loop().time
        self._last_fetch = float("-inf")
        self._next_fetch: asyncio.Task[None] | None = None
        self.loaded = False
        self.on_removed: Callable[[], None] = lambda: None

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the key with an id, or None."""
        return self._keys.get(kid)

    async def refresh_forever(self) -> None:
        """Fetch the keys at regular intervals until cancelled."""
        failures = FailureLog("key_set_unknown", "key_set_known_again")
        while True:
            try:
                await self.refresh()
            except AppError as error:
                failures.failed(problem=error.slug)
                await asyncio.sleep(_RETRY_INTERVAL)
            else:
                failures.succeeded()
                await asyncio.sleep(_REFRESH_INTERVAL)

    async def refresh(self) -> None:
        """Fetch the keys; concurrent callers share one fetch.

        Raises:
            AppError: the fetch failed; the cached keys stay valid.
        """
        if self._next_fetch is None:
            self._next_fetch = asyncio.create_task(self._fetch_when_allowed())
            self._next_fetch.add_done_callback(_retrieve)
        await asyncio.shield(self._next_fetch)

    async def _fetch_when_allowed(self) -> None:
        await asyncio.sleep(max(0.0, self._last_fetch + _MIN_INTERVAL - self._now()))
        self._last_fetch = self._now()
        self._next_fetch = None  # callers from now on may need a key that is newer than this fetch
        try:
            keys = await self._fetch()
        except AppError:
            self._metrics.jwks_fetches.labels("failed").inc()
            raise
        self._metrics.jwks_fetches.labels("done").inc()
        removed = self._keys.keys() - keys.keys()
        self._keys = keys
        self.loaded = True
        if removed:
            self.on_removed()

    async def _fetch(self) -> dict[str, VerifyingKey]:
        status, document = await self._client.request("GET", _PATH)
        if status != _OK:
            raise Unavailable
        try:
            # Algorithms that a later version may publish are skipped; secrets are never published.
            return {
                str(jwk["kid"]): VerifyingKey(str(jwk["alg"]), jwt.PyJWK(jwk).key)
                for jwk in document["keys"]
                if jwk.get("alg") in _ALGORITHMS
            }
        except (KeyError, TypeError, AttributeError, ValueError, jwt.PyJWTError) as error:
            raise BadGateway from error


def _retrieve(fetch: asyncio.Task[None]) -> None:
    """Take note of a failure, which the callers have got, unless all of them have gone."""
    if not fetch.cancelled():
        fetch.exception()
