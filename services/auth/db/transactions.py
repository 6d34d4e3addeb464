"""Running several writes as one."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.auth.errors import LostRace
from services.auth.ports import Transaction

_Result = TypeVar("_Result")


async def atomically(transaction: Transaction, work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run `work` in one transaction, and a second time where a concurrent one made the first fail.

    `work` does nothing but SQL, in one task: everything in it shares one connection.

    Raises:
        LostRace: it lost twice; nothing was changed.
    """
    try:
        async with transaction():
            return await work()
    except LostRace:
        async with transaction():
            return await work()
