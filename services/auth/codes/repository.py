"""The codes in Redis: issued, verified and consumed by one atomic script each."""

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
from redis.asyncio import Redis

from services.auth.codes import scripts as code_scripts
from services.auth.codes.challenges import CHALLENGE_SECONDS
from services.auth.codes.quotas import Budgets, conversion_key, wrong_keys
from services.auth.codes.redis_errors import redis_errors
from services.auth.errors import AlreadyRegistered, InvalidCode, Suspicious, TooManyAttempts, TooManyCodes
from services.auth.keyed_hash import CodeSecrets, new_nonce
from services.auth.known_addresses import KNOWN_MS, known_key
from shared.contracts.messages import Purpose
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.phone import dial_code, network_prefix
from shared.redis.scripts import RedisScripts

# Whatever budget is used up, the answer is the same, so that it tells nothing about the others.
_REFUSED_SECONDS = 3600

log = structlog.get_logger()


class RedisCodes:
    """The living codes, cooldowns and budgets; names of keys are pseudonyms, values hold no code.

    Args:
        redis: answers as bytes.
        secrets_: derives codes, proofs and names.
        budgets: what codes are charged to.
        ttl: seconds that a code lives after it was last sent.
        cooldown: seconds between two codes to one number, whatever their purpose.
        max_tries: wrong tries after which a code is dead.
        metrics: counts what becomes of codes.
    """

    def __init__(
        self,
        redis: Redis,
        secrets_: CodeSecrets,
        budgets: Budgets,
        *,
        ttl: int,
        cooldown: int,
        max_tries: int,
        metrics: AuthMetrics,
    ) -> None:
        self._secrets = secrets_
        self._budgets = budgets
        self._ttl_ms = ttl * 1000
        self._cooldown_ms = cooldown * 1000
        self._max_tries = max_tries
        self._metrics = metrics
        scripts = RedisScripts(redis)
        self._issue = scripts.register(code_scripts.ISSUE)
        self._release = scripts.register(code_scripts.RELEASE_COOLDOWN)
        self._consume = scripts.register(code_scripts.CONSUME)
        self._give_back = scripts.register(code_scripts.GIVE_BACK)

    async def issue(
        self, mobile: str, purpose: Purpose, request: str, *, address: str, solved: str | None
    ) -> str:
        """Charge the budgets, take the number's cooldown and return its code: the living one or a new one."""
        nonce = new_nonce()
        code = self._secrets.code(mobile, purpose, nonce)
        charge = self._budgets.charge(mobile, address, self._secrets)
        keys = [
            self._cooldown_key(mobile),
            self._code_key(mobile, purpose),
            charge.spend_key,
            charge.conversion_key,
            f"code:challenge:{solved}",
            *charge.budget_keys,
        ]
        proof = self._secrets.proof(mobile, purpose, code)
        args: list[str | int | float] = [
            request, self._cooldown_ms, nonce, proof, self._ttl_ms, charge.price, self._budgets.spend,
            self._budgets.conversion, self._budgets.volume, int(solved is not None),
            CHALLENGE_SECONDS * 1000, charge.limits,
        ]  # fmt: skip
        with redis_errors(self._metrics):
            outcome, *details = await self._issue(keys, args)
        if outcome != b"issued":
            self._metrics.codes.labels(purpose, "refused").inc()
            self._refuse(outcome.decode(), *details)
        living, challenged = details
        self._count("requested", mobile, purpose)
        if challenged == b"1":
            self._metrics.challenges.labels("solved").inc()
        return code if living.decode() == nonce else self._secrets.code(mobile, purpose, living.decode())

    def _refuse(self, outcome: str, detail: bytes | int = b"") -> NoReturn:
        """Raise what a request ends with that was charged nothing."""
        if outcome == "replayed":
            self._metrics.challenges.labels("replayed").inc()
            raise Suspicious
        if isinstance(detail, int):
            self._metrics.code_refusals.labels("cooldown").inc()
            raise TooManyCodes(retry_after=math.ceil(detail / 1000))
        self._metrics.code_refusals.labels(detail.decode()).inc()
        if outcome == "risky":
            raise Suspicious
        raise TooManyCodes(retry_after=_REFUSED_SECONDS)

    def _count(self, outcome: str, mobile: str, purpose: Purpose) -> None:
        self._metrics.codes.labels(purpose, outcome).inc()
        self._metrics.conversion.labels(dial_code(mobile), network_prefix(mobile), outcome).inc()

    async def release_cooldown(self, mobile: str, request: str) -> None:
        """Give back the cooldown that `request` took."""
        try:
            with redis_errors(self._metrics):
                await self._release([self._cooldown_key(mobile)], [request])
        except Unavailable:
            log.warning("cooldown_not_released")  # it ends by itself

    @asynccontextmanager
    async def consuming(self, mobile: str, purpose: Purpose, code: str, address: str) -> AsyncIterator[None]:
        """Verify and consume a code atomically for the length of a block."""
        keys = [self._code_key(mobile, purpose), conversion_key(mobile, self._secrets)]
        attempt = secrets.token_hex(8)
        proof = self._secrets.proof(mobile, purpose, code)
        origin = [known_key(mobile, address, self._secrets), *wrong_keys(address, self._secrets)]
        args: list[str | int] = [attempt, proof, self._max_tries, KNOWN_MS, self._budgets.wrong]
        with redis_errors(self._metrics):
            outcome, *details = await self._consume([*keys, *origin], args)
        if details:
            self._metrics.throttled.labels("code", details[1].decode()).inc()
            raise TooManyAttempts(retry_after=math.ceil(details[0] / 1000))
        if outcome == b"wrong":
            self._metrics.codes.labels(purpose, "wrong").inc()
            raise InvalidCode
        self._count("verified", mobile, purpose)
        try:
            yield
        except (InvalidCode, AlreadyRegistered):
            raise  # the code has served: it led to this answer
        except BaseException:
            await self._return(keys, attempt)
            raise

    async def _return(self, keys: list[str], attempt: str) -> None:
        try:
            with redis_errors(self._metrics):
                await self._give_back(keys, [attempt])
        except Unavailable:
            log.warning("code_not_given_back")  # the user asks for another one

    def _cooldown_key(self, mobile: str) -> str:
        return f"code:{self._secrets.key(mobile)}:cooldown"

    def _code_key(self, mobile: str, purpose: Purpose) -> str:
        return f"code:{self._secrets.key(mobile)}:{purpose}"
