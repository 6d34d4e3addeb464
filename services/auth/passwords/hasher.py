"""Password hashing by bcrypt, in threads and with a bounded queue."""

import asyncio
import base64
import contextvars
import hmac
import math
import os
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from services.auth.errors import Overloaded
from shared.observability.metrics import AuthMetrics

# Separates our digests from plain SHA-384 ones, so that leaked lists of those cannot be tried against
# our hashes ("password shucking", OWASP Password Storage Cheat Sheet).
_DOMAIN = b"dialpass/password/v1"
# The threads run at a lower priority than the event loop, so that sign-ins do not slow down other requests.
_THREAD_NICENESS = 10

_Result = TypeVar("_Result")


class PasswordHasher:
    """Hashes and verifies passwords in its own threads; bcrypt releases the GIL.

    Args:
        rounds: bcrypt's cost.
        workers: number of threads, at most the number of cores.
        max_wait: seconds that a computation may wait; one that would wait longer is refused.
        metrics: counts computations and refusals.

    The constructor computes one hash, which stands in for unknown users and measures the time of one.
    """

    def __init__(self, *, rounds: int, workers: int, max_wait: float, metrics: AuthMetrics) -> None:
        self._rounds = rounds
        self._metrics = metrics
        started = time.perf_counter()
        self._dummy = self._compute_hash(secrets.token_urlsafe())
        seconds = time.perf_counter() - started
        self._capacity = workers + math.ceil(workers * max_wait / seconds)
        self._retry_after = math.ceil(max_wait)
        self._pending = 0
        self._executor = ThreadPoolExecutor(workers, "bcrypt", initializer=_lower_priority)

    async def hash(self, password: str) -> str:
        """Return the hash to store.

        Raises:
            Overloaded: too many computations are queued.
        """
        return await self._run(lambda: self._compute_hash(password))

    def outdated(self, hashed: str) -> bool:
        """Return whether a hash was made with other parameters than the current ones."""
        return not hashed.startswith(f"$2b${self._rounds:02d}$")

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Return whether the password matches the hash; takes the same time without a hash.

        Raises:
            Overloaded: too many computations are queued.
        """
        known = hashed is not None
        against = (hashed or self._dummy).encode()
        matches = await self._run(lambda: bcrypt.checkpw(_digest(password), against))
        return matches and known

    def close(self) -> None:
        """Stop the threads and drop queued computations."""
        self._executor.shutdown(cancel_futures=True)

    async def _run(self, compute: Callable[[], _Result]) -> _Result:
        if self._pending >= self._capacity:
            self._metrics.hashes.labels("refused").inc()
            raise Overloaded(retry_after=self._retry_after)
        self._track(+1)
        context = contextvars.copy_context()  # run_in_executor does not carry it over
        work = self._executor.submit(context.run, compute)
        # Counted until the thread has finished, even if the request was cancelled before.
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._track, -1))
        result = await asyncio.wrap_future(work)
        self._metrics.hashes.labels("done").inc()
        return result

    def _track(self, change: int) -> None:
        self._pending += change
        self._metrics.hash_queue.set(self._pending)

    def _compute_hash(self, password: str) -> str:
        return bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._rounds)).decode()


def _digest(password: str) -> bytes:
    """Return 64 bytes without NUL, since bcrypt reads 72 bytes; all of the password counts.

    NFC first (RFC 8265 §4.2.2), because keyboards differ in how they compose the same character.
    """
    normalized = unicodedata.normalize("NFC", password).encode()
    return base64.b64encode(hmac.digest(_DOMAIN, normalized, "sha384"))


def _lower_priority() -> None:
    # On Linux this sets the niceness of the thread, not of the process.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _THREAD_NICENESS)
