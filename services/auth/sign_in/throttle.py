"""The throttle of password checks, in Redis: failed attempts make the next one wait."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Literal, NoReturn

import structlog
from redis.asyncio import Redis

from services.auth.errors import TooManyAttempts
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.networks import TRUSTED_MS, account_address, trusted_address_key
from services.auth.passwords.hasher import PasswordHasher
from services.auth.sign_in.process_limiter import ProcessLimiter
from services.auth.sign_in.scripts import BEGIN, SETTLE
from services.auth.sign_in.tarpit import Tarpit
from shared.errors import InvalidRequest, Unavailable
from shared.networks import canonical, neighbourhood_of, network_of
from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES
from shared.redis.outage import RedisOutage
from shared.redis.retry import retry_until_available
from shared.tasks import contain

_ATTEMPT_MS = 60_000
# Sign-ins go on without Redis, and without a long wait for it.
_TIMEOUT_SECONDS = 0.5
_MAX_UNSETTLED = 1000
_HOUR_MS = 3_600_000
_UNLIMITED = Limit(1_000_000_000, _HOUR_MS)
_NONE = Limit(0, _HOUR_MS)

_Result = Literal["right", "wrong", "undecided"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """The rates of attempts that do not make the next one wait.

    Attributes:
        account: failed ones at an account, from addresses that it does not trust.
        address: failed ones from an address.
        network: failed ones from a network.
        newcomers: failed ones at an account that has to wait, each from another network.
        account_checks: all at an account, failed or not.
        address_checks: all from an address, failed or not.
    """

    account: Limit
    address: Limit
    network: Limit
    newcomers: Limit = _NONE
    account_checks: Limit = _UNLIMITED
    address_checks: Limit = _UNLIMITED


class SignInThrottle:
    """Charges password checks to account, address and network, and makes the next one wait.

    If Redis refuses the command or cannot be reached, attempts are allowed and counted as unthrottled
    (fail open): they still need the password, and otherwise nobody could sign in. Each process then
    limits them by itself. If Redis is there, but its answer came too late, this process is overloaded,
    possibly on purpose: the attempt is refused (fail closed).

    Args:
        redis: answers as bytes.
        keyed_hash: hashes numbers and addresses in the names of keys.
        limits: rates of attempts.
        metrics: counts refused and unthrottled attempts.
        hasher: gives attempts their turn; without it, any number of them runs at a time.
    """

    def __init__(
        self,
        redis: Redis,
        keyed_hash: KeyedHash,
        limits: SignInLimits,
        metrics: AuthMetrics,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._hash = keyed_hash
        self._metrics = metrics
        self._hasher = hasher
        self._begin = redis.register_script(BEGIN)
        self._settle = redis.register_script(SETTLE)
        subjects = [
            limits.account, limits.account, limits.address, limits.network, limits.newcomers,
            limits.account_checks, limits.address_checks,
        ]  # fmt: skip
        self._limits = [number for limit in subjects for number in (limit.amount, limit.window_ms)]
        self._outage = RedisOutage(redis)
        self._tarpit = Tarpit()
        self._unsettled: set[asyncio.Task[None]] = set()
        self._floor = ProcessLimiter(limits.account, limits.address, limits.network)

    @asynccontextmanager
    async def attempt(self, mobile: str, address: str) -> AsyncIterator[None]:
        """Run the block, which checks a password, as an attempt; its checks are queued for the address.

        A block that raises `InvalidRequest` has failed; after any other error nothing is counted. Numbers
        without an account are throttled like those with one.

        Raises:
            TooManyAttempts: on entering; the block does not run.
            Unavailable: on entering; Redis is there, but the answer came too late.
        """
        if self._hasher:
            self._hasher.refuse_busy(mobile, address)
        keys = self._keys(mobile, address)
        kind = await self._try_to_begin(keys, mobile, address)
        result: _Result = "undecided"
        try:
            with self._turn(mobile, address, trusted=kind == b"known"):
                yield
            result = "right"
        except InvalidRequest:
            result = "wrong"
            raise
        finally:
            if kind:
                await self._settle_attempt(keys, result)
            else:
                self._floor.settle(mobile, address, failed=result == "wrong")

    @asynccontextmanager
    async def slowed_refusals(self, address: str) -> AsyncIterator[None]:
        """Raise the block's `TooManyAttempts` later for a host that goes on at once after refusals."""
        try:
            yield
        except TooManyAttempts:
            await self._tarpit.wait(address)
            raise

    def _turn(self, mobile: str, address: str, *, trusted: bool) -> AbstractContextManager[None]:
        return self._hasher.turn(mobile, address, trusted=trusted) if self._hasher else nullcontext()

    async def _try_to_begin(self, keys: list[str], mobile: str, address: str) -> bytes | None:
        """Return the kind of the attempt, or None if Redis is down and only this process counts it."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                answer, *subject = await self._begin(keys, [_ATTEMPT_MS, *self._limits])
        except REDIS_FAILURES as error:
            await self._fail_open(error, keys)
            if used_up := self._floor.begin(mobile, address):
                self._refuse(*used_up)
            self._metrics.unthrottled.inc()
            return None
        if subject:
            self._refuse(subject[0].decode(), math.ceil(answer / 1000))
        kind: bytes = answer
        return kind

    def _refuse(self, subject: str, seconds: int) -> NoReturn:
        self._metrics.throttled.labels("sign_in", subject).inc()
        log.info("attempt_throttled", subject=subject, retry_after=seconds)
        raise TooManyAttempts(retry_after=seconds)

    async def _fail_open(self, error: Exception, keys: list[str]) -> None:
        """Return if Redis is down.

        Raises:
            Unavailable: it is not; the attempt may have been counted, which is taken back.
        """
        self._metrics.dependency_failures.labels("redis").inc()
        name = type(error).__name__
        if await self._outage.explains(error):
            log.warning("sign_in_unthrottled", error=name)
            return
        self._metrics.undecided.inc()
        log.warning("sign_in_undecided", error=name)
        await self._settle_attempt(keys, "undecided")
        raise Unavailable from error

    async def _settle_attempt(self, keys: list[str], result: _Result) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._settle(keys, [result, *self._limits, TRUSTED_MS])
        except REDIS_FAILURES as error:
            log.warning("sign_in_not_noted", error=type(error).__name__)
            if result == "wrong" and len(self._unsettled) < _MAX_UNSETTLED:
                task = asyncio.create_task(contain("sign_in_charge", self._settle_later, keys))
                self._unsettled.add(task)
                task.add_done_callback(self._unsettled.discard)

    async def _settle_later(self, keys: list[str]) -> None:
        """Charge a failure whose charge came too late; from a trusted address there was none before."""
        settle = retry_until_available(self._settle_failure)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ATTEMPT_MS / 1000):
                await settle(keys)

    async def _settle_failure(self, keys: list[str]) -> None:
        await self._settle(keys, ["wrong", *self._limits, TRUSTED_MS])

    def _keys(self, mobile: str, address: str) -> list[str]:
        account = self._hash.name("account", mobile)
        origin = self._hash.name("address", canonical(address))
        place = self._hash.name("pair", f"{mobile} {neighbourhood_of(address)}")
        return [
            f"sign-in:attempt:{secrets.token_hex(8)}",
            trusted_address_key(mobile, address, self._hash),
            f"sign-in:pair:{account_address(mobile, address, self._hash)}",
            f"sign-in:account:{account}",
            f"sign-in:address:{origin}",
            f"sign-in:network:{self._hash.name('network', network_of(address))}",
            f"sign-in:newcomers:{account}",
            f"sign-in:account-checks:{account}",
            f"sign-in:address-checks:{origin}",
            f"sign-in:met:{place}",
        ]
