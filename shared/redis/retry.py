"""Repeating a call of Redis until Redis is available."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import stamina

from shared.redis.client import REDIS_FAILURES

_FIRST_WAIT_SECONDS = 0.1
_MAX_WAIT_SECONDS = 2.0

P = ParamSpec("P")
T = TypeVar("T")

_with_backoff = stamina.retry(
    on=REDIS_FAILURES,
    attempts=None,
    timeout=None,
    wait_initial=_FIRST_WAIT_SECONDS,
    wait_max=_MAX_WAIT_SECONDS,
)


def retry_until_available(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorate a coroutine function so that it is repeated, with backoff, while Redis is unavailable.

    The caller bounds the wait: by a timeout, or by ending its task.
    """
    retrying = _with_backoff(call)

    @wraps(call)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        # The retry machinery costs about as much as the call itself, so the first try goes without it.
        try:
            return await call(*args, **kwargs)
        except REDIS_FAILURES:
            return await retrying(*args, **kwargs)

    return wrapper
