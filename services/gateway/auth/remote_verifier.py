"""HS256 tokens, which the auth service verifies: with their secret the gateway could issue tokens, too."""

import asyncio
import math
from dataclasses import dataclass

from services.gateway.auth.token_cache import token_hash
from services.gateway.upstream.client import UpstreamClient
from shared.errors import AppError, TooManyRequests, Unauthorized, Unavailable
from shared.networks import host_of
from shared.security.access_tokens import AccessToken

_PATH = "/internal/tokens/"
_OK, _UNAUTHORIZED = 200, 401
_MAX_IN_FLIGHT = 64
_MAX_CACHED_REFUSALS = 8192
_MAX_ADDRESSES = 8192


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """What forged tokens may cost.

    Attributes:
        burst: tokens of one address that are refused before it has to wait, and that are verified at once.
        refill: seconds until an address may send one more.
        in_flight: calls of all addresses at once. Those with refused tokens get half of them.
        refusal_seconds: how long a refused token is remembered.
        kids_seconds: how long the ids of all keys of HS256 are, which come with a refusal.
    """

    burst: int = 20
    refill: float = 6.0
    in_flight: int = _MAX_IN_FLIGHT
    refusal_seconds: float = 10.0
    kids_seconds: float = 1.0


class RemoteVerifier:
    """Verifies tokens by a call to the auth service, and bounds what forged ones cost.

    Everybody can make tokens that look like HS256 tokens. Those of unknown keys, all where HS256 is not
    in use, cost a call a second. Of others, a refused token is remembered, concurrent requests with one
    token share a call, and an address whose tokens are refused has to wait.

    Args:
        client: of the auth service.
        limits: see `RemoteLimits`.
    """

    def __init__(self, client: UpstreamClient, limits: RemoteLimits | None = None) -> None:
        self._client = client
        self._limits = limits or RemoteLimits()
        self._now = asyncio.get_running_loop().time
        self._calls: dict[bytes, asyncio.Task[AccessToken]] = {}
        self._refused: dict[bytes, float] = {}  # until when, by the hash of the token
        self._addresses: dict[str, _Address] = {}
        self._kids: frozenset[str] = frozenset()
        self._kids_until = 0.0

    async def verify(self, token: str, kid: str, client: str) -> AccessToken:
        """Return the claims of a valid token.

        Args:
            token: an HS256 token.
            kid: the id of its key.
            client: the address that sent it.

        Raises:
            Unauthorized: the token was refused.
            TooManyRequests: too many tokens of this address were refused.
            Unavailable: the auth service cannot be reached, or too many calls are in flight.
        """
        key = token_hash(token)
        now = self._now()
        if self._refused.get(key, 0.0) > now or (now < self._kids_until and kid not in self._kids):
            raise Unauthorized(token_given=True)
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = asyncio.create_task(self._verify(key, token, self._admit(client)))
            call.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(call)

    def _forget(self, key: bytes, call: asyncio.Task[AccessToken]) -> None:
        del self._calls[key]
        if not call.cancelled():
            call.exception()  # retrieved, even if all clients have gone

    def _admit(self, client: str) -> "_Address":
        """Return the entry of a client's address, unless it has to wait."""
        address = self._address(host_of(client))
        now = self._now()
        wait = address.wait(now, self._limits)
        if wait > 0:
            raise TooManyRequests(retry_after=math.ceil(wait))
        share = self._limits.in_flight // (2 if address.busy_until > now else 1)
        if len(self._calls) >= share:
            raise Unavailable(retry_after=1)
        address.in_flight += 1
        return address

    def _address(self, network: str) -> "_Address":
        address = self._addresses.pop(network, None) or _Address()
        if len(self._addresses) >= _MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        self._addresses[network] = address  # at the end, as the one used last
        return address

    async def _verify(self, key: bytes, token: str, address: "_Address") -> AccessToken:
        try:
            return await self._call(token)
        except Unauthorized:
            now = self._now()
            if len(self._refused) >= _MAX_CACHED_REFUSALS:
                del self._refused[next(iter(self._refused))]
            self._refused[key] = now + self._limits.refusal_seconds
            address.busy_until = max(address.busy_until, now) + self._limits.refill
            raise
        finally:
            address.in_flight -= 1

    async def _call(self, token: str) -> AccessToken:
        try:
            status, document = await self._client.request("POST", _PATH, {"token": token})
        except AppError as error:
            raise Unavailable from error
        if status == _UNAUTHORIZED:
            self._learn_kids(document)
            raise Unauthorized(token_given=True)
        if status != _OK:
            raise Unavailable
        try:
            return AccessToken(
                int(document["user_id"]), str(document["session_id"]), int(document["expires_at"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable from error

    def _learn_kids(self, document: object) -> None:
        """Remember the ids of all keys of HS256; older auth services do not tell them."""
        kids = document.get("secret_kids") if isinstance(document, dict) else None
        if isinstance(kids, list):
            self._kids = frozenset(map(str, kids))
            self._kids_until = self._now() + self._limits.kids_seconds


class _Address:
    """The refused tokens of an address, as a leaky bucket, and its calls in flight."""

    __slots__ = ("busy_until", "in_flight")

    def __init__(self) -> None:
        self.busy_until = 0.0
        self.in_flight = 0

    def wait(self, now: float, limits: RemoteLimits) -> float:
        """Return the seconds until the address may have another token verified; 0 or less for none."""
        full_at = now + (limits.burst - 1 - self.in_flight) * limits.refill
        return max(self.busy_until, now) - full_at
