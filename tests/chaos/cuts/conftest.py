"""Connections that are cut at every byte."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from shared import tasks
from tests.chaos.mode import LONG

_SHORT_SAMPLES = 6
_ASYNCIO_SAMPLES = 100


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on uvloop, as in production, and in the long mode on asyncio's loop, too."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return loops | {"asyncio": asyncio.new_event_loop} if LONG else loops


def places(total: int, most: int = sys.maxsize) -> list[int]:
    """Return after how many of `total` bytes to cut: after each, or a sample that has the ends.

    All of them are tried in the long mode on uvloop, unless there are more than `most`.
    """
    if not LONG:
        most = _SHORT_SAMPLES
    elif not isinstance(asyncio.get_running_loop(), uvloop.Loop):
        most = min(most, _ASYNCIO_SAMPLES)
    if total <= most:
        return list(range(total))
    return sorted({0, 1, total - 1, *(round(total / most * number) for number in range(most))})


@pytest.fixture(autouse=True)
def no_task_fails() -> Iterator[None]:
    """Assert that no background task has raised an exception."""
    before = dict(tasks.failures())
    yield
    failed = {name: count for name, count in tasks.failures().items() if count > before.get(name, 0)}
    assert failed == {}
