"""The rate of password verifications on this machine, the upper limit of sign-ins."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import bcrypt

from benchmarks.machine import cores

VERIFICATIONS = 6


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds of a single verification, and verifications per second with one thread per core."""

    seconds: float
    threaded_per_second: float

    @property
    def per_second(self) -> float:
        """The rate of all cores if they did not slow down each other."""
        return len(cores()) / self.seconds


def measure(rounds: int) -> Limit:
    """Verify a password repeatedly, in one thread and in one thread per core."""
    hashed = bcrypt.hashpw(b"benchmark", bcrypt.gensalt(rounds))

    def verify(_: int = 0) -> float:
        began = time.perf_counter()
        bcrypt.checkpw(b"benchmark", hashed)
        return time.perf_counter() - began

    alone = statistics.median(verify() for _ in range(VERIFICATIONS))
    count = VERIFICATIONS * len(cores())
    with ThreadPoolExecutor(len(cores())) as threads:
        began = time.perf_counter()
        list(threads.map(verify, range(count)))
        together = count / (time.perf_counter() - began)
    return Limit(alone, together)


def average(before: Limit, after: Limit) -> Limit:
    """Return the mean of two measurements, because the machine's speed changes."""
    return Limit(
        (before.seconds + after.seconds) / 2,
        (before.threaded_per_second + after.threaded_per_second) / 2,
    )
