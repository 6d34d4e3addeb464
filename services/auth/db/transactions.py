"""The open transaction of a task."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """An open transaction, and the actions to run once it is committed."""

    task: asyncio.Task[Any] | None
    on_commit: list[Callable[[], None]] = field(default_factory=list)


# A task that is started inside a transaction inherits this value, although it is not its task.
open_transaction: ContextVar[OpenTransaction | None] = ContextVar("open_transaction", default=None)


def current_transaction() -> OpenTransaction | None:
    """Return the open transaction of this task, or None.

    Raises:
        RuntimeError: the open transaction is that of the task that started this one: both would use one
            connection.
    """
    opened = open_transaction.get()
    if opened and opened.task is not asyncio.current_task():
        raise RuntimeError("a task that was started inside a transaction uses the database")
    return opened
