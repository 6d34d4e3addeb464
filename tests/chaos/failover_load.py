"""Load on a server that fails over, and measurements of lost writes and downtime."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_WRITERS = 8
_PAUSE_SECONDS = 0.05


@dataclass
class Load:
    """The results of the writes.

    Attributes:
        acknowledged: the names of acknowledged writes.
        failed: the number of failed writes.
        longest_gap: the longest time without an acknowledgement, in seconds.
    """

    acknowledged: set[str] = field(default_factory=set)
    failed: int = 0
    longest_gap: float = 0
    _last: float = field(default_factory=time.monotonic)

    def acknowledge(self, name: str) -> None:
        self.acknowledged.add(name)
        self.longest_gap = max(self.longest_gap, time.monotonic() - self._last)
        self._last = time.monotonic()

    async def grows(self, by: int, seconds: float = 60) -> None:
        """Wait until `by` more writes are acknowledged."""
        wanted, deadline = len(self.acknowledged) + by, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"{wanted - len(self.acknowledged)} writes are missing"
            await asyncio.sleep(_PAUSE_SECONDS)

    def report(self, what: str, lost: int) -> None:
        """Append the figures to the file named by FAILOVER_FIGURES, if set."""
        if path := os.environ.get("FAILOVER_FIGURES"):
            figures = {
                "what": what, "acknowledged": len(self.acknowledged), "lost": lost, "failed": self.failed,
                "longest_gap_seconds": round(self.longest_gap, 1),
            }  # fmt: skip
            with Path(path).open("a") as file:
                file.write(json.dumps(figures) + "\n")


@asynccontextmanager
async def under_load(write: Callable[[], Awaitable[str]], *failures: type[Exception]) -> AsyncIterator[Load]:
    """Run eight writers for the block's time; `write` returns a unique name."""
    load = Load()
    over = False

    async def keep_writing() -> None:
        while not over:
            try:
                load.acknowledge(await write())
            except failures:
                load.failed += 1
                await asyncio.sleep(_PAUSE_SECONDS)

    writers = [asyncio.create_task(keep_writing()) for _ in range(_WRITERS)]
    try:
        yield load
    finally:
        # Not cancelled: before Python 3.12 a Redis client can miss it. Each write ends by itself.
        over = True
        await asyncio.gather(*writers)
