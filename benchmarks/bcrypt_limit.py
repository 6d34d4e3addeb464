"""How fast this machine verifies passwords: the limit of any sign-in."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import bcrypt

from benchmarks.machine import cores

VERIFICATIONS = 6


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds of one verification alone, and verifications per second with a thread for each core."""

    seconds: float
    threaded_per_second: float

    @property
    def per_second(self) -> float:
        """What all cores could do if none slowed another."""
        return len(cores()) / self.seconds


def measure(rounds: int) -> Limit:
    """Verify a password some times, in one thread and in one for each core."""
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
    """Return the middle of two measurements, of a machine that changes meanwhile."""
    return Limit(
        (before.seconds + after.seconds) / 2,
        (before.threaded_per_second + after.threaded_per_second) / 2,
    )
