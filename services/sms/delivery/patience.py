"""Calls of Redis that are repeated until it answers."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import stamina

from shared.redis.client import REDIS_FAILURES

_FIRST_WAIT_SECONDS = 0.1
_MAX_WAIT_SECONDS = 2.0

P = ParamSpec("P")
T = TypeVar("T")

_repeatedly = stamina.retry(
    on=REDIS_FAILURES,
    attempts=None,
    timeout=None,
    wait_initial=_FIRST_WAIT_SECONDS,
    wait_max=_MAX_WAIT_SECONDS,
)


def until_redis_answers(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have a call repeated, ever more slowly, for as long as Redis does not answer.

    The machinery of repeating costs about as much as the call itself, so it is left out as long as all
    is well.
    """
    repeated = _repeatedly(call)

    @wraps(call)
    async def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except REDIS_FAILURES:
            return await repeated(*args, **kwargs)

    return patient
