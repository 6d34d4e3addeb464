"""Connections that are cut at every byte, on both event loops: production runs on uvloop."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from shared import tasks
from tests.chaos.mode import LONG

# In the short mode: the first bytes, the last, and some between.
_SAMPLES = 12


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on both event loops."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


def places(total: int) -> list[int]:
    """Return after how many of `total` bytes to cut: all, or a sample in the short mode."""
    if LONG or total <= _SAMPLES:
        return list(range(total))
    step = total / _SAMPLES
    return sorted({0, 1, total - 1, *(round(step * number) for number in range(_SAMPLES))})


@pytest.fixture(autouse=True)
def no_task_fails() -> Iterator[None]:
    """Assert that no background task has raised an exception."""
    before = dict(tasks.failures())
    yield
    failed = {name: count for name, count in tasks.failures().items() if count > before.get(name, 0)}
    assert failed == {}
