"""Password hashing by bcrypt, in threads and with a bounded, fair queue."""

import base64
import hmac
import math
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import bcrypt

from services.auth.errors import Overloaded, TooManyAttempts
from services.auth.work_queue import Busy, Places, QueueFull, Requester, WorkQueue
from shared.observability.metrics import AuthMetrics

# Separates our digests from plain SHA-384 ones, so that leaked lists of those cannot be tried against
# our hashes ("password shucking", OWASP Password Storage Cheat Sheet).
_DOMAIN = b"dialpass/password/v1"
# The longest work that is done for an unknown number: a hash of a higher cost, say an imported one, does
# not make every sign-in take minutes.
_MAX_COST = 16
# A place is free again after a computation, which takes a fraction of a second.
_BUSY_SECONDS = 1

# Any of bcrypt's versions.
_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)

_Result = TypeVar("_Result")


class PasswordHasher:
    """Hashes and verifies passwords in its own threads; bcrypt releases the GIL.

    Verifying takes the same work for every hash and without one: that of the highest cost in use, which
    is the current one or, after `BCRYPT_ROUNDS` was lowered, that of hashes made before. Otherwise, after
    a change of the cost, the time of one request would tell whether a number has an account.

    Args:
        rounds: bcrypt's cost for new hashes.
        workers: number of threads, at most the number of cores.
        max_wait: seconds that a computation may wait; one that would wait longer is refused.
        metrics: counts computations and refusals.
        places: limits what an account and an address may have in progress, if anything does.

    The constructor computes one hash, which stands in for unknown users and measures the time of one.
    """

    def __init__(
        self,
        *,
        rounds: int,
        workers: int,
        max_wait: float,
        metrics: AuthMetrics,
        places: Places | None = None,
    ) -> None:
        self._rounds = rounds
        self._cost = rounds
        self._metrics = metrics
        self._places = places or Places()
        started = time.perf_counter()
        dummy = self._compute_hash(secrets.token_urlsafe())
        self._seconds = time.perf_counter() - started
        self._dummy_tail = dummy[len(_prefix(rounds)) :]
        self._workers = workers
        self._max_wait = max_wait
        self._queue = WorkQueue(
            "bcrypt", workers=workers, capacity=self._capacity(), watch=metrics.hash_queue.set
        )

    def refuse_busy(self, account: str, address: str) -> None:
        """Refuse a request that would get no turn, before anything is done for it.

        Raises:
            TooManyAttempts: the address has too many checks in progress, of all accounts or of this one.
        """
        with self._translated_busy():
            self._places.refuse_busy(account, address)

    @contextmanager
    def turn(
        self, account: str, address: str, *, trusted: bool = False, proven: bool = False
    ) -> Iterator[None]:
        """Hold a place for the block, whose computations are queued for the account and the address.

        Args:
            account: the number of the account, whether or not there is one.
            address: the client's address.
            trusted: whether the account trusts the address.
            proven: whether a right code was presented; then others' checks of the account refuse nothing.

        Raises:
            TooManyAttempts: on entering; the account or the address has too many checks in progress.
        """
        requester = Requester(account, address, trusted or proven, proven)
        with ExitStack() as stack:
            with self._translated_busy():
                stack.enter_context(self._places.hold(requester))
            yield

    async def hash(self, password: str) -> str:
        """Return the hash to store.

        Raises:
            Overloaded: too many computations are queued.
        """
        return await self._run(lambda: self._compute_hash(password))

    def outdated(self, hashed: str) -> bool:
        """Return whether a hash was made with other parameters than the current ones."""
        return not hashed.startswith(_prefix(self._rounds))

    def work_as_for(self, cost: int) -> None:
        """Take at least the work of this cost for every verification; at most that of cost 16."""
        if self._cost < cost:
            self._cost = max(self._cost, min(cost, _MAX_COST))
            self._queue.capacity = self._capacity()

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Return whether the password matches the hash; takes the same work without a hash.

        Raises:
            Overloaded: too many computations are queued.
        """
        known = hashed is not None and _BCRYPT.fullmatch(hashed) is not None
        if hashed is not None and known:
            self.work_as_for(_cost_of(hashed))  # another process may use a higher one
            against = hashed
        else:
            against = _prefix(self._cost) + self._dummy_tail
        matches = await self._run(lambda: self._compare(password, against))
        return matches and known

    def close(self) -> None:
        """Stop the threads and drop queued computations."""
        self._queue.close()

    async def _run(self, compute: Callable[[], _Result]) -> _Result:
        try:
            result = await self._queue.run(compute)
        except QueueFull as error:
            self._metrics.hashes.labels("refused").inc()
            raise Overloaded(retry_after=math.ceil(self._max_wait)) from error
        self._metrics.hashes.labels("done").inc()
        return result

    def _capacity(self) -> int:
        seconds = self._seconds * 2.0 ** (self._cost - self._rounds)
        return self._workers + math.ceil(self._workers * self._max_wait / seconds)

    @contextmanager
    def _translated_busy(self) -> Iterator[None]:
        try:
            yield
        except Busy as error:
            self._metrics.throttled.labels("in_progress", error.subject).inc()
            raise TooManyAttempts(retry_after=_BUSY_SECONDS) from error

    def _compute_hash(self, password: str) -> str:
        return bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._rounds)).decode()

    def _compare(self, password: str, hashed: str) -> bool:
        """Compare, and make up for the work that a hash of a lower cost does not take.

        Each step of the cost doubles the work, so that the costs c, c, c + 1, … n - 1 take together as much
        as n.
        """
        digest = _digest(password)
        matches = bcrypt.checkpw(digest, hashed.encode())
        for cost in range(_cost_of(hashed), self._cost):
            bcrypt.checkpw(digest, (_prefix(cost) + self._dummy_tail).encode())
        return matches


def _prefix(cost: int) -> str:
    return f"$2b${cost:02d}$"


def _cost_of(hashed: str) -> int:
    return int(hashed.split("$")[2])


def _digest(password: str) -> bytes:
    """Return 64 bytes without NUL, since bcrypt reads 72 bytes; all of the password counts.

    NFC first (RFC 8265 §4.2.2), because keyboards differ in how they compose the same character.
    """
    normalized = unicodedata.normalize("NFC", password).encode()
    return base64.b64encode(hmac.digest(_DOMAIN, normalized, "sha384"))
