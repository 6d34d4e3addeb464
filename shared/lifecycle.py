"""The lifecycle of a service: start, serve, drain on SIGTERM, close in reverse order."""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
import uvloop

from shared.health import Health
from shared.http.limits import raise_descriptor_limit
from shared.http.server import CannotListen
from shared.observability import logs
from shared.settings import ServiceSettings
from shared.tasks import contain

EXIT_FAILED = 1
_POLL_SECONDS = 0.02
_READY_POLL_SECONDS = 0.1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """A service that was built, as the lifecycle sees it.

    Attributes:
        health: made unready when draining begins.
        begin_drain: directs clients elsewhere; work is still accepted.
        stop_intake: stops accepting work.
        in_flight: returns the number of requests or messages in progress.
    """

    health: Health
    begin_drain: Callable[[], None]
    stop_intake: Callable[[], Awaitable[None]]
    in_flight: Callable[[], int]


Build = Callable[[AsyncExitStack], Awaitable[Service]]


def serve(name: str, settings: ServiceSettings, build: Build) -> int:
    """Run a service until SIGTERM or SIGINT and return the process's exit status.

    `build` enters every resource on the stack and starts intake. It does not wait for dependencies:
    connections are opened in the background, so that starting without a dependency and losing one later
    are the same state, visible at `/readyz`.

    Returns:
        0 after a clean drain, 1 if the deadline interrupted work or a port is in use.
    """
    logs.configure(name, settings.log_format, settings.log_level)
    raise_descriptor_limit()
    try:
        return uvloop.run(_run(settings, build))
    except CannotListen as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED


async def _run(settings: ServiceSettings, build: Build) -> int:
    started_at = time.monotonic()
    stopping = _stop_on_signals()
    async with AsyncExitStack() as stack:
        service = await build(stack)
        # The service's objects live until the end. Excluding them makes a full garbage collection ten
        # times as fast, which the slowest requests wait for.
        gc.collect()
        gc.freeze()
        log.info("started", pid=os.getpid())
        announcing = contain("announcement", _announce_ready, service.health, started_at)
        announcement = asyncio.create_task(announcing)
        await stopping.wait()
        announcement.cancel()
        interrupted = await drain(service, settings)
    log.info("stopped", cut_off=interrupted)
    return EXIT_FAILED if interrupted else 0


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()

    def on_interrupt() -> None:
        if stopping.is_set():  # the second Ctrl-C exits at once
            os._exit(EXIT_FAILED)
        stopping.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, on_interrupt)
    return stopping


async def _announce_ready(health: Health, started_at: float) -> None:
    while not (state := await health.readiness()).ready:
        log.debug("waiting_for_dependencies", checks=dict(state.checks))
        await asyncio.sleep(_READY_POLL_SECONDS)
    log.info("ready", seconds=round(time.monotonic() - started_at, 3))


async def drain(service: Service, settings: ServiceSettings) -> int:
    """Stop intake and wait for work in flight; return how much of it is left at the deadline."""
    log.info("draining", in_flight=service.in_flight())
    service.health.draining = True
    service.begin_drain()
    await asyncio.sleep(settings.drain_delay)
    await service.stop_intake()
    for _ in range(int(settings.drain_timeout / _POLL_SECONDS)):
        if not service.in_flight():
            break
        await asyncio.sleep(_POLL_SECONDS)
    return service.in_flight()
