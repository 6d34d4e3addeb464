"""Calls of Redis that are repeated until Redis is available."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.redis.retry import retry_until_available


class Store:
    """Fails with each of the errors, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]
        self.calls = 0

    @retry_until_available
    async def get(self, number: int) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return number


async def test_a_result_is_returned() -> None:
    store = Store()
    assert (await store.get(7), store.calls) == (7, 1)


async def test_a_call_is_repeated_until_it_succeeds() -> None:
    store = Store(RedisConnectionError(), TimeoutError(), OSError())
    assert (await store.get(7), store.calls) == (7, 4)


async def test_other_errors_are_raised() -> None:
    store = Store(RedisConnectionError(), ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        await store.get(7)
    assert store.calls == 2
