"""Background tasks, none of which ends by an exception.

A task that works until it is cancelled runs under `supervise`: what it raises is logged and counted, and it
is started again. A task that does one thing runs under `contain`. Both belong to the process, as its memory
does, and not to a service: whoever starts a task need not know who counts its failures.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, ParamSpec

import structlog

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
# A task that has run for so long since its last failure works again.
_STEADY_SECONDS = 10.0
# The process has to be restarted if a task has not worked for so long.
_GRACE_SECONDS = 60.0
_CANCEL_AGAIN_SECONDS = 1.0

_P = ParamSpec("_P")

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Supervised:
    """A task that is started again.

    Attributes:
        started_at: when it was last started.
        failing_since: when the first of its recent failures was, or None if it works.
    """

    started_at: float = field(default_factory=time.monotonic)
    failing_since: float | None = None


# Of the process, and shown by its metrics; tasks are known while they run.
_failures: Counter[str] = Counter()
_supervised: set[_Supervised] = set()


async def supervise(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it returns or this task is cancelled; after an exception, start it again.

    A `CancelledError` that does not come from a cancellation of this task is a failure, too: libraries
    raise it for a lost connection.

    Args:
        name: the task's name in logs and metrics, from a closed set.
        work: returns when there is nothing left to do.
    """
    task = asyncio.current_task()
    state = _Supervised()
    _supervised.add(state)
    _failures[name] += 0  # shown before the first failure
    backoff = _FIRST_BACKOFF_SECONDS
    try:
        while True:
            state.started_at = time.monotonic()
            try:
                await work()
            except (Exception, asyncio.CancelledError) as error:
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError from error
                backoff = _note_failure(name, state, backoff, error)
            else:
                return
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
    finally:
        _supervised.discard(state)


def start(name: str, work: Callable[[], Awaitable[None]], stack: AsyncExitStack) -> None:
    """Supervise `work` in a task of its own until the stack is closed."""
    stack.push_async_callback(cancel, asyncio.create_task(supervise(name, work)))


async def contain(
    name: str, work: Callable[_P, Awaitable[object]], *args: _P.args, **kwargs: _P.kwargs
) -> None:
    """Call `work` and await it; log and count what it raises instead of raising it.

    Args:
        name: the task's name in logs and metrics, from a closed set.
        work: what the task does. It is called by the task: a coroutine that was made before would never be
            awaited in a task that is cancelled before it starts.
        args: of `work`.
        kwargs: of `work`.
    """
    task = asyncio.current_task()
    try:
        await work(*args, **kwargs)
    except (Exception, asyncio.CancelledError) as error:
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        _failures[name] += 1
        log.exception("task_failed", task=name)


def note_outcome(task: asyncio.Task[Any]) -> None:
    """Log and count the exception of a task that has ended; a callback, where a coroutine costs too much."""
    if not task.cancelled() and (error := task.exception()) is not None:
        name = task.get_name()
        _failures[name] += 1
        log.error("task_failed", task=name, exc_info=error)


def count_failure(name: str) -> None:
    """Count a failure that a task has handled itself."""
    _failures[name] += 1


def failures() -> Mapping[str, int]:
    """Return how often each task has failed since the start of the process, by name."""
    return _failures


def alive() -> bool:
    """Return whether every supervised task works; if False, restart the process.

    A task may have failed for up to a minute. What depends on other servers is no failure: tasks handle
    that themselves, since a restart would not repair it.
    """
    now = time.monotonic()
    return not any(_is_stuck(state, now) for state in _supervised)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended.

    It is cancelled again if it has not ended: before Python 3.12, a call in it may swallow a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_SECONDS)
    with suppress(asyncio.CancelledError):
        task.result()


def _note_failure(name: str, state: _Supervised, backoff: float, error: BaseException) -> float:
    """Log and count a failure; return how long to wait."""
    now = time.monotonic()
    if state.failing_since is None or now - state.started_at > _STEADY_SECONDS:
        state.failing_since = now
        backoff = _FIRST_BACKOFF_SECONDS
    _failures[name] += 1
    log.error("task_failed", task=name, restart_in=backoff, exc_info=error)
    return backoff


def _is_stuck(state: _Supervised, now: float) -> bool:
    if state.failing_since is None or now - state.started_at > _STEADY_SECONDS:
        return False
    return now - state.failing_since > _GRACE_SECONDS
