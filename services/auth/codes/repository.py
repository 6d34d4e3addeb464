"""Codes in Redis, with their cooldowns, quotas and message states; issued and redeemed by one script each."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

import structlog
from redis.asyncio import Redis

from services.auth.codes import leases, redeem_scripts, scripts
from services.auth.codes.challenges import CHALLENGE_SECONDS, Solved
from services.auth.codes.generator import CodeGenerator
from services.auth.codes.quotas import Quotas, askers_of, conversion_key, wrong_keys
from services.auth.errors import ChallengeNeeded, InvalidCode, TooManyAttempts, TooManyCodes
from services.auth.keyed_hash import KeyedHash
from services.auth.networks import TRUSTED_MS, trusted_address_key
from shared.contracts.message_status import MessageStatus, MessageStatuses
from shared.contracts.messages import Purpose
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.phone import dial_code, network_prefix
from shared.redis.client import REDIS_FAILURES
from shared.redis.scripts import RedisScripts

# The same for every quota, so that the answer tells nothing about the others.
_REFUSED_SECONDS = 3600
# A code is not sent again with less than this, or than half of its life: a new one takes its place.
_LEAST_MS = 120_000
_UNSOLVED = -1
# Numbers of these purposes have no account, so a code that waits for one would never be sent.
_OF_NEW_NUMBERS = frozenset({"register", "change_mobile"})
_OUTCOME_MS = 60_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Issued:
    """A code that a request got.

    Attributes:
        code: the valid code of the number, an earlier one or a new one.
        lifetime: how long it is still valid.
        withheld: whether it may be sent only to a number with an account, after `send_withheld`.
    """

    code: str = field(repr=False)
    lifetime: timedelta
    withheld: bool


class CodeRepository:
    """The valid codes, cooldowns and quotas; Redis holds neither a code nor a number.

    Methods raise `Unavailable` where Redis does not answer: without it nothing is decided (fail closed).

    Args:
        redis: answers as bytes.
        keyed_hash: hashes numbers and addresses in the names of keys.
        generator: derives codes.
        quotas: what codes are charged to.
        ttl: seconds that a code is valid; sending it again does not prolong it.
        cooldown: seconds between two codes to one number for one asker, whatever their purpose.
        max_tries: wrong tries after which a code is dead for those who share them.
        metrics: counts codes by outcome.
    """

    def __init__(
        self,
        redis: Redis,
        keyed_hash: KeyedHash,
        generator: CodeGenerator,
        quotas: Quotas,
        *,
        ttl: int,
        cooldown: int,
        max_tries: int,
        metrics: AuthMetrics,
    ) -> None:
        self._hash = keyed_hash
        self._generator = generator
        self._quotas = quotas
        self._ttl_ms = ttl * 1000
        self._cooldown_ms = cooldown * 1000
        self._max_tries = max_tries
        self._metrics = metrics
        self._statuses = MessageStatuses(redis)
        registry = RedisScripts(redis)
        self._issue = registry.register(scripts.ISSUE)
        self._release_cooldown = registry.register(scripts.RELEASE_COOLDOWN)
        self._redeem = registry.register(redeem_scripts.REDEEM)
        self._confirm = registry.register(redeem_scripts.CONFIRM)
        self._restore = registry.register(redeem_scripts.RESTORE)
        self._send_withheld = registry.register(scripts.SEND_WITHHELD)

    async def issue(
        self, mobile: str, purpose: Purpose, request: str, *, address: str, solved: Solved | None
    ) -> Issued:
        """Charge the quotas, take the asker's cooldown and return the number's code.

        The code is the valid one, if it is valid for long enough, or a new one.

        Args:
            mobile: canonical number.
            purpose: what the code will be valid for.
            request: id of the request, by which its cooldown can be released.
            address: address of the client.
            solved: the challenge that the client solved, or None.

        Raises:
            TooManyCodes: in the cooldown, or a quota is used up.
            ChallengeNeeded: the risk rules ask for a challenge, and none of its difficulty was solved, or
                it was used before.
        """
        nonce = self._generator.new_nonce()
        code = self._generator.code(mobile, purpose, nonce)
        charge = self._quotas.charge(mobile, address, self._hash)
        keys = [
            self._cooldowns_key(mobile), self._code_key(mobile, purpose), charge.spend_key,
            charge.conversion_key, f"code:challenge:{solved.name if solved else None}", charge.trusted_key,
            charge.own_key, charge.dial_code_key, charge.resends_key, *charge.quota_keys,
        ]  # fmt: skip
        proof = self._generator.proof(mobile, purpose, code)
        args: list[str | int | float] = [
            request, self._cooldown_ms, nonce, proof, self._ttl_ms, min(_LEAST_MS, self._ttl_ms // 2),
            self._max_tries, *charge.askers, solved.difficulty if solved else _UNSOLVED,
            CHALLENGE_SECONDS * 1000, int(purpose not in _OF_NEW_NUMBERS), charge.rules,
        ]  # fmt: skip
        with self._translated_errors():
            outcome, *details = await self._issue(keys, args)
        if outcome != b"issued":
            self._metrics.codes.labels(purpose, "refused").inc()
            self._refuse(outcome.decode(), *details)
        valid, left, challenged, withheld = details
        if withheld == b"1":
            self._metrics.codes.labels(purpose, "withheld").inc()
        else:
            self._count("requested", mobile, purpose)
        if challenged == b"1":
            self._metrics.challenges.labels("solved").inc()
        if valid.decode() != nonce:
            code = self._generator.code(mobile, purpose, valid.decode())
        return Issued(code, timedelta(seconds=left // 1000), withheld == b"1")

    async def send_withheld(self, mobile: str, purpose: Purpose, request: str, *, address: str) -> bool:
        """Charge what a withheld code costs and return whether it may be sent.

        Args:
            mobile: canonical number, which has an account.
            purpose: what the code is valid for.
            request: id of the request.
            address: address of the client.
        """
        charge = self._quotas.charge(mobile, address, self._hash)
        keys = [f"code:withheld:{request}", charge.spend_key, charge.conversion_key, charge.dial_code_key]
        with self._translated_errors():
            may_be_sent: bool = await self._send_withheld(keys, [_OUTCOME_MS, charge.rules]) == 1
        if may_be_sent:
            self._count("requested", mobile, purpose)
        else:
            self._metrics.codes.labels(purpose, "refused").inc()
        return may_be_sent

    def count_unsent(self, purpose: Purpose) -> None:
        """Count a code that was withheld and then lost, because a dependency failed."""
        self._metrics.codes.labels(purpose, "unsent").inc()

    async def release_cooldown(self, mobile: str, request: str) -> None:
        """Release the cooldown that a request took, because its message was not sent.

        Never raises: it runs after another failure, and the cooldown ends by itself.
        """
        try:
            with self._translated_errors():
                await self._release_cooldown([self._cooldowns_key(mobile)], [request])
        except Unavailable:
            log.warning("cooldown_not_released")

    async def redeem(
        self, mobile: str, purpose: Purpose, code: str, *, address: str, attempt: str, paused: bool = False
    ) -> str | None:
        """Verify a code and lease it to an attempt, atomically.

        The lease ends by `confirm` or `restore`, or by itself, and then the code is valid again.

        Args:
            mobile: canonical number.
            purpose: what the code has to be valid for.
            code: the code that the client presents.
            address: address of the client, which the account trusts from then on.
            attempt: id of this attempt, by which `confirm` and `restore` recognise it.
            paused: whether it asks again after `RepetitionPending`.

        Returns:
            None, or the answer of an attempt that used the code a short time ago; then there is no lease.

        Raises:
            InvalidCode: the code is wrong; one of the asker's tries is counted, or of those who did not ask.
                Or it is right, but was used; that is no wrong try.
            CodeInUse: it is right, but leased to another attempt.
            RepetitionPending: it is right, but was used by another attempt, whose answer is known.
            TooManyAttempts: too many wrong codes from the address or its network, which did not ask for it.
        """
        keys = [
            self._code_key(mobile, purpose),
            conversion_key(mobile, self._hash),
            trusted_address_key(mobile, address, self._hash),
            *wrong_keys(address, self._hash),
        ]
        proof = self._generator.proof(mobile, purpose, code)
        askers = askers_of(mobile, address, self._hash)
        args: list[str | int] = [
            attempt, proof, self._max_tries, TRUSTED_MS, self._quotas.wrong, *askers,
            leases.LEASE_MS, leases.REPEAT_MS, leases.RIVAL_MS, leases.REPEAT_PAUSE_MS, int(paused),
        ]  # fmt: skip
        with self._translated_errors():
            outcome, *details = await self._redeem(keys, args)
        if outcome == b"redeemed":
            self._count("verified", mobile, purpose)
            return None
        if outcome == b"wait":
            raise leases.RepetitionPending
        if outcome == b"taken":
            raise leases.CodeInUse(rival=details[0] == b"1")
        if outcome == b"throttled":
            self._metrics.throttled.labels("code", details[1].decode()).inc()
            raise TooManyAttempts(retry_after=math.ceil(details[0] / 1000))
        self._metrics.codes.labels(purpose, outcome.decode()).inc()
        if outcome == b"repeated":
            answer: str = details[0].decode()
            return answer
        raise InvalidCode

    async def confirm(self, mobile: str, purpose: Purpose, attempt: str, answer: str) -> None:
        """Use the code that an attempt has redeemed up; the use can be repeated if it has an answer."""
        with self._translated_errors():
            await self._confirm([self._code_key(mobile, purpose)], [attempt, answer, leases.REPEAT_MS])

    async def restore(self, mobile: str, purpose: Purpose, attempt: str) -> None:
        """Make the code that an attempt has redeemed, or is still to redeem, valid again."""
        keys = [self._code_key(mobile, purpose), conversion_key(mobile, self._hash)]
        with self._translated_errors():
            await self._restore(keys, [attempt, leases.MAX_FIELDS])

    async def record_queued(self, message_id: str, at: datetime) -> None:
        """Write the first state of a message."""
        with self._translated_errors():
            await self._statuses.put(message_id, MessageStatus("queued", at))

    async def record_unsent(self, message_id: str, at: datetime) -> None:
        """Mark a message that the broker did not confirm as failed, unless the worker has begun with it."""
        with self._translated_errors():
            await self._statuses.abandon(message_id, at)

    async def message_status(self, message_id: str) -> MessageStatus | None:
        """Return the state of a message, or None if the id is unknown."""
        with self._translated_errors():
            return await self._statuses.get(message_id)

    def _refuse(self, outcome: str, detail: bytes | int, difficulty: int = 0) -> NoReturn:
        if isinstance(detail, bytes):
            self._metrics.code_refusals.labels(detail.decode()).inc()
            if outcome == "risky":
                raise ChallengeNeeded(difficulty)
            raise TooManyCodes(retry_after=_REFUSED_SECONDS)
        if outcome == "replayed":
            self._metrics.challenges.labels("replayed").inc()
            raise ChallengeNeeded(detail)
        self._metrics.code_refusals.labels("cooldown").inc()
        raise TooManyCodes(retry_after=math.ceil(detail / 1000))

    def _count(self, outcome: str, mobile: str, purpose: Purpose) -> None:
        self._metrics.codes.labels(purpose, outcome).inc()
        self._metrics.conversion.labels(dial_code(mobile), network_prefix(mobile), outcome).inc()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except REDIS_FAILURES as error:
            self._metrics.dependency_failures.labels("redis").inc()
            log.warning("redis_failed", error=type(error).__name__)
            raise Unavailable from error

    def _cooldowns_key(self, mobile: str) -> str:
        # Not `cooldown`, with which the previous version names a string.
        return f"code:{self._hash.mobile(mobile)}:cooldowns"

    def _code_key(self, mobile: str, purpose: Purpose) -> str:
        return f"code:{self._hash.mobile(mobile)}:{purpose}"
