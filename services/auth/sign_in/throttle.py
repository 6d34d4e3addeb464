"""The throttle around signing in with a password, in Redis."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog
from redis.asyncio import Redis

from services.auth.errors import TooManyAttempts
from services.auth.keyed_hash import CodeSecrets
from services.auth.known_addresses import KNOWN_MS, known_key, pair
from services.auth.limits import Limit
from services.auth.networks import canonical, network_of
from services.auth.sign_in.scripts import BEGIN, SETTLE
from shared.errors import InvalidRequest
from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES

_ATTEMPT_MS = 60_000
# Signing in goes on without Redis, and soon.
_PATIENCE_SECONDS = 0.5

_Outcome = Literal["right", "wrong", "undecided"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """So many failures need no waiting."""

    account: Limit
    address: Limit
    network: Limit


class RedisSignInGuard:
    """Counts failed sign-ins per account, address and network, and makes the next one wait.

    Where Redis does not answer, sign-ins are let through and counted as such (open): a password is
    still needed, and nobody could sign in otherwise.

    Args:
        redis: answers as bytes.
        secrets_: names the keys.
        limits: how many failures need no waiting.
        metrics: counts what is refused, and what is let through unchecked.
    """

    def __init__(
        self, redis: Redis, secrets_: CodeSecrets, limits: SignInLimits, metrics: AuthMetrics
    ) -> None:
        self._redis = redis
        self._secrets = secrets_
        self._metrics = metrics
        self._begin = redis.register_script(BEGIN)
        self._settle = redis.register_script(SETTLE)
        subjects = [limits.account, limits.account, limits.address, limits.network]
        self._limits = [number for limit in subjects for number in (limit.amount, limit.window_ms)]

    @asynccontextmanager
    async def attempt(self, mobile: str, address: str) -> AsyncIterator[None]:
        """Let a block check a password, and note what comes of it.

        Numbers without an account are throttled as those with one are.
        """
        keys = self._keys(mobile, address)
        begun = await self._try_to_begin(keys)
        outcome: _Outcome = "undecided"
        try:
            yield
            outcome = "right"
        except InvalidRequest:
            outcome = "wrong"
            raise
        finally:
            if begun:
                await self._note(keys, outcome)

    async def _try_to_begin(self, keys: list[str]) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                wait, *subject = await self._begin(keys, [_ATTEMPT_MS, *self._limits])
        except REDIS_FAILURES as error:
            self._metrics.dependency_failures.labels("redis").inc()
            self._metrics.unthrottled.inc()
            log.warning("sign_in_unthrottled", error=type(error).__name__)
            return False
        if subject:
            self._metrics.throttled.labels("sign_in", subject[0].decode()).inc()
            raise TooManyAttempts(retry_after=math.ceil(wait / 1000))
        return True

    async def _note(self, keys: list[str], outcome: _Outcome) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._settle(keys, [outcome, *self._limits, KNOWN_MS])
        except REDIS_FAILURES as error:
            log.warning("sign_in_not_noted", error=type(error).__name__)

    def _keys(self, mobile: str, address: str) -> list[str]:
        return [
            f"sign-in:attempt:{secrets.token_hex(8)}",
            known_key(mobile, address, self._secrets),
            f"sign-in:pair:{pair(mobile, address, self._secrets)}",
            f"sign-in:account:{self._secrets.pseudonym('account', mobile)}",
            f"sign-in:address:{self._secrets.pseudonym('address', canonical(address))}",
            f"sign-in:network:{self._secrets.pseudonym('network', network_of(address))}",
        ]
