"""The time limit of a request: nothing is committed after it, however long the process was stopped."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from services.auth.errors import TooLate

# The task of a request, and its end by the monotonic clock. Tasks that it has started inherit this value,
# although they may go on after it.
_current: ContextVar[tuple[asyncio.Task[Any] | None, float] | None] = ContextVar("deadline", default=None)


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Limit the block, which is the work of a request.

    Raises:
        TimeoutError: the block has taken longer.
    """
    mark = _current.set((asyncio.current_task(), time.monotonic() + seconds))
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        _current.reset(mark)


def check() -> None:
    """Refuse to commit work of a request whose time is over.

    The time limit itself is only noticed where the request waits; a process that was stopped would go on
    until then.

    Raises:
        TooLate: the client has been told that the request has failed.
    """
    current = _current.get()
    if current is not None and current[0] is asyncio.current_task() and time.monotonic() > current[1]:
        raise TooLate
