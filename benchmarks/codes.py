"""`POST /code/` per second, end to end, beside a bare publisher with confirms."""

import asyncio
import itertools
import statistics
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import broker, wrk
from benchmarks.figures import Section, Table, Target, at_least
from benchmarks.machine import cores
from benchmarks.processes import environment, module
from benchmarks.progress import Report
from benchmarks.samples import ms
from benchmarks.system import System
from deploy.local.errors import LocalError
from deploy.local.ports import LOOPBACK
from deploy.local.programs import ensure_programs

SCRIPT = Path(__file__).with_name("codes.lua")
PUBLISHER = "aio-pika, bare publisher with confirms"
WHOLE = "POST /code/, gateway and auth"
WITHOUT_GATEWAY = "POST /code/, auth alone"
QUEUE = "benchmark.publisher"
MESSAGE_BYTES = 400  # as long as a send-code message, sealed
WARM_UP_SECONDS = 1
A_ROUNDS_NUMBERS = 10_000_000


def measure(system: System, rounds: int, seconds: int, report: Report) -> Section:
    """Load one auth process, behind one gateway and alone, in turns with one publisher."""
    ensure_programs("wrk")
    amqp = system.settings["AMQP_URL"]
    published: list[float] = []
    urls = {WHOLE: system.url, WITHOUT_GATEWAY: f"http://{LOOPBACK}:{system.ports['auth']}"}
    loads: dict[str, list[wrk.Load]] = {name: [] for name in urls}
    first_numbers = itertools.count(0, A_ROUNDS_NUMBERS)
    with system.service("auth"), system.service("gateway"):
        for url in urls.values():
            _ask(url, next(first_numbers), WARM_UP_SECONDS)
        for number in range(rounds):
            report(f"codes: round {number + 1} of {rounds}")
            published.append(_publish(amqp, seconds))
            for name, url in urls.items():
                loads[name].append(_ask(url, next(first_numbers), seconds))
                asyncio.run(broker.empty(amqp))
    # Requests that the load left in flight were published after that; the worker's rows count messages.
    asyncio.run(broker.empty(amqp))
    return _section(statistics.median(published), loads, rounds, seconds)


def _ask(url: str, first_number: int, seconds: int) -> wrk.Load:
    return wrk.post(f"{url}/code/", str(first_number), {}, seconds, SCRIPT)


def _publish(amqp: str, seconds: int) -> float:
    """Return what one bare publisher reaches, with as much in flight as the load has connections."""
    arguments = (amqp, QUEUE, str(wrk.CONNECTIONS), str(MESSAGE_BYTES), str(seconds))
    done = subprocess.run(
        module("benchmarks.peers.aio_pika_publisher", *arguments),
        env=environment({}), capture_output=True, text=True, timeout=seconds + 30, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LocalError(f"the publisher failed: {done.stderr[-500:]}")
    return float(done.stdout)


def _section(published: float, loads: dict[str, list[wrk.Load]], rounds: int, seconds: int) -> Section:
    section = Section("Codes")
    section.notes = [
        f"Each request for another number from another address, {wrk.CONNECTIONS} connections, medians of "
        f"{rounds} alternated rounds of {seconds} s. One auth process and one gateway process; budgets, "
        "cooldown, code and message state in Redis, then a confirmed publish to the quorum queue. The "
        f"publisher is one process with {wrk.CONNECTIONS} messages of {MESSAGE_BYTES} bytes in flight, to "
        f"a quorum queue of the same broker. Broker, Redis and load on the same {len(cores())} cores.",
    ]
    rows = [(PUBLISHER, f"aio-pika {version('aio-pika')}, uvloop", f"{published:,.0f}", "", "")]
    rows += [(name, "this one", *_figures(of)) for name, of in loads.items()]
    section.tables = [Table("Codes", ("", "version", "per second", "p50", "p99"), rows)]
    section.targets = [_target(name, of, published) for name, of in loads.items() if name == WHOLE]
    section.bars = [("codes/s", PUBLISHER, published)]
    section.bars += [("codes/s", name, _rate(of)) for name, of in loads.items()]
    return section


def _figures(loads: Sequence[wrk.Load]) -> tuple[str, str, str]:
    p50 = statistics.median(load.p50 for load in loads)
    p99 = statistics.median(load.p99 for load in loads)
    return f"{_rate(loads):,.0f}", ms(p50), ms(p99)


def _rate(loads: Sequence[wrk.Load]) -> float:
    return statistics.median(load.requests_per_second for load in loads)


def _target(name: str, loads: Sequence[wrk.Load], published: float) -> Target:
    return at_least(f"{name} ÷ {PUBLISHER}, per second", 0.6, _rate(loads) / published)
