"""Background tasks: none ends by an exception."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs
from tornado.web import Application

from shared import tasks
from shared.health import Health
from shared.http import ops
from shared.http.server import DrainableServer
from shared.observability.metrics import new_registry
from tests.support.system import http_status


def failing(times: int, error: BaseException) -> tuple[Callable[[], Awaitable[None]], asyncio.Event]:
    """Return work that fails some times and then works until it is cancelled, and the sign that it works."""
    works, left = asyncio.Event(), iter(range(times))

    async def work() -> None:
        if next(left, None) is not None:
            raise error
        works.set()
        await asyncio.Event().wait()

    return work, works


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.tasks._FIRST_BACKOFF_SECONDS", 0.001)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("the handler is closed"), asyncio.CancelledError(), ValueError("a defect")],
    ids=lambda error: type(error).__name__,
)
async def test_a_task_that_fails_is_logged_counted_and_started_again(error: BaseException) -> None:
    name = f"test-{type(error).__name__}"
    work, works = failing(3, error)
    with capture_logs() as logs:
        task = asyncio.create_task(tasks.supervise(name, work))
        async with asyncio.timeout(5):
            await works.wait()
    assert tasks.failures()[name] == 3
    assert [line["event"] for line in logs] == ["task_failed"] * 3
    assert new_registry().get_sample_value("dialpass_task_failures_total", {"task": name}) == 3
    await tasks.cancel(task)
    assert task.cancelled()


async def test_a_task_ends_when_its_work_returns() -> None:
    await tasks.supervise("test-returns", lambda: asyncio.sleep(0))
    assert tasks.failures()["test-returns"] == 0


async def test_a_cancellation_ends_a_task_although_its_work_raises_another_error() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError  # as libraries do

    task = asyncio.create_task(tasks.supervise("test-cancelled", work))
    await started.wait()
    await tasks.cancel(task)
    assert task.cancelled()
    assert tasks.failures()["test-cancelled"] == 0


async def test_a_task_whose_cancellation_was_swallowed_is_cancelled_again() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.cancel(task)
    assert task.cancelled()


@pytest.mark.parametrize("error", [RuntimeError(), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_a_task_that_does_one_thing_does_not_raise(error: BaseException) -> None:
    name = f"test-once-{type(error).__name__}"

    async def work() -> None:
        raise error

    with capture_logs() as logs:
        await asyncio.create_task(tasks.contain(name, work))
    assert tasks.failures()[name] == 1
    assert [line["event"] for line in logs] == ["task_failed"]


async def test_liveness_fails_while_a_task_does_not_work_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.tasks._GRACE_SECONDS", 0.05)
    server = DrainableServer(Application(list(ops.routes(Health({}), new_registry()))), 0)
    url = f"http://127.0.0.1:{server.port}/healthz"
    assert await asyncio.to_thread(http_status, url) == 200
    work, _ = failing(1_000_000, RuntimeError())
    with capture_logs():
        task = asyncio.create_task(tasks.supervise("test-stuck", work))
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(http_status, url) == 503
        await tasks.cancel(task)
    assert await asyncio.to_thread(http_status, url) == 200
    await server.close()


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_a_task_that_is_cancelled_before_it_starts_leaves_nothing_unawaited() -> None:
    async def work() -> None:
        raise AssertionError

    for task in (
        asyncio.create_task(tasks.contain("test-unstarted", work)),
        asyncio.create_task(tasks.supervise("test-unstarted", work)),
    ):
        await tasks.cancel(task)
        assert task.cancelled()
    gc.collect()
