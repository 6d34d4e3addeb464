"""Load on a server that fails over, and the figures of what that costs."""

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
    """What became of the writes.

    Attributes:
        acknowledged: the names of those that the server has acknowledged.
        failed: how many ended with an error.
        longest_gap: the longest time without an acknowledgement, in seconds.
    """

    acknowledged: set[str] = field(default_factory=set)
    failed: int = 0
    longest_gap: float = 0
    _last: float = field(default_factory=time.monotonic)

    def note(self, name: str) -> None:
        self.acknowledged.add(name)
        self.longest_gap = max(self.longest_gap, time.monotonic() - self._last)
        self._last = time.monotonic()

    async def grows(self, by: int, seconds: float = 60) -> None:
        """Wait until so many more writes have been acknowledged."""
        wanted, deadline = len(self.acknowledged) + by, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"{wanted - len(self.acknowledged)} writes are missing"
            await asyncio.sleep(_PAUSE_SECONDS)

    def report(self, what: str, lost: int) -> None:
        """Append the figures to the file that FAILOVER_FIGURES names, where it names one."""
        if path := os.environ.get("FAILOVER_FIGURES"):
            figures = {
                "what": what, "acknowledged": len(self.acknowledged), "lost": lost, "failed": self.failed,
                "longest_gap_seconds": round(self.longest_gap, 1),
            }  # fmt: skip
            with Path(path).open("a") as file:
                file.write(json.dumps(figures) + "\n")


@asynccontextmanager
async def under_load(write: Callable[[], Awaitable[str]], *failures: type[Exception]) -> AsyncIterator[Load]:
    """Keep eight writers busy for the block; `write` returns the name of what it wrote."""
    load = Load()
    over = False

    async def keep_writing() -> None:
        while not over:
            try:
                load.note(await write())
            except failures:
                load.failed += 1
                await asyncio.sleep(_PAUSE_SECONDS)

    writers = [asyncio.create_task(keep_writing()) for _ in range(_WRITERS)]
    try:
        yield load
    finally:
        # Not cancelled: a client of Redis can miss that before Python 3.12. Each write ends by itself.
        over = True
        await asyncio.gather(*writers)
