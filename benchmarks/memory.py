"""Memory and start time of the three services."""

import asyncio
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.client import client_of
from benchmarks.figures import Section, Table, Target, at_most
from benchmarks.machine import resident_megabytes
from benchmarks.progress import Report
from benchmarks.system import System
from deploy.local.errors import LocalError

SERVICES = ("auth", "sms", "gateway")
# The gateway needs the keys and the ended sessions to be ready.
NEEDED = {"gateway": ("auth",)}
STARTS = 3
REQUESTS = 200
SETTLE_SECONDS = 1.0
PATIENCE = 30.0
ASKED_MEGABYTES, ASKED_SECONDS = 90, 1.5


@dataclass(frozen=True, slots=True)
class Footprint:
    """A service: MB idle and under load, seconds until ready."""

    name: str
    idle: float
    worked: float
    start: float


def measure(system: System, report: Report) -> Section:
    """Start each service several times, then let all of them send codes."""
    starts = {name: _start_seconds(system, name, report) for name in SERVICES}
    with ExitStack() as stack:
        running = {name: stack.enter_context(system.service(name)) for name in SERVICES}
        time.sleep(SETTLE_SECONDS)
        idle = {name: resident_megabytes(started.pid) for name, started in running.items()}
        report(f"memory: {REQUESTS} requests")
        asyncio.run(_ask_for_codes(system))
        _await_sent(system)
        worked = {name: resident_megabytes(started.pid) for name, started in running.items()}
    return _section([Footprint(name, idle[name], worked[name], starts[name]) for name in SERVICES])


def _start_seconds(system: System, name: str, report: Report) -> float:
    report(f"memory: starts of {name}")
    seconds = []
    with ExitStack() as stack:
        for needed in NEEDED.get(name, ()):
            stack.enter_context(system.service(needed))
        for _ in range(STARTS + 1):
            with system.service(name) as started:
                seconds.append(started.seconds)
    return statistics.median(seconds[1:])  # the first one reads from disk and compiles


async def _ask_for_codes(system: System) -> None:
    async with client_of(system.url) as client:
        for number in range(REQUESTS):
            await client.post("/code/", {"mobile": f"137{number:08}"})


def _await_sent(system: System) -> None:
    """Wait until the worker has sent every code."""
    wanted = f'dialpass_sms_messages_total{{outcome="accepted"}} {REQUESTS:.1f}'
    deadline = time.monotonic() + PATIENCE
    while wanted not in system.operators_page("sms", "/metrics")[1]:
        if time.monotonic() > deadline:
            raise LocalError(f"not all of {REQUESTS} codes were sent")
        time.sleep(0.1)


def _section(footprints: list[Footprint]) -> Section:
    section = Section("Memory and start")
    section.notes = [
        f"Resident memory, idle after the start and after {REQUESTS} requests for a code that went through "
        f"all three to a stand-in of the provider; start to ready with the servers up, median of {STARTS}.",
    ]
    rows = [(of.name, f"{of.idle:.1f} MB", f"{of.worked:.1f} MB", f"{of.start:.2f} s") for of in footprints]
    columns = ("", "idle", f"after {REQUESTS} requests", "start to ready")
    section.tables = [Table("Memory and start", columns, rows)]
    section.targets = [target for of in footprints for target in _targets(of)]
    section.bars = [("memory idle, MB", of.name, of.idle) for of in footprints]
    section.bars += [("start to ready, s", of.name, of.start) for of in footprints]
    return section


def _targets(of: Footprint) -> list[Target]:
    return [
        at_most(f"{of.name}, memory idle", ASKED_MEGABYTES, of.idle, " MB"),
        at_most(f"{of.name}, start to ready", ASKED_SECONDS, of.start, " s"),
    ]
