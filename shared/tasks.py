"""Background tasks: started by who needs them, ended with what they use."""

import asyncio
from contextlib import suppress
from typing import Any


async def cancel(task: asyncio.Task[Any]) -> None:
    """End a task and return once it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
