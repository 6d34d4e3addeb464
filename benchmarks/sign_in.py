"""Sign-ins per second beside what bcrypt allows, what others notice of it, and what timing tells."""

import asyncio
import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks import bcrypt_limit
from benchmarks.client import Client, client_of
from benchmarks.figures import Section, Table, Target, at_least
from benchmarks.machine import cores
from benchmarks.progress import Report
from benchmarks.samples import ms, percentile, spread
from benchmarks.system import PASSWORD, ROUNDS, System

IN_FLIGHT_PER_CORE = 4
PROFILES_PER_SECOND = 15
WRONG = "not this one"


@dataclass(slots=True)
class Findings:
    """What was measured, in seconds and sign-ins per second."""

    limit: bcrypt_limit.Limit
    per_second: float = 0
    sign_ins: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    unknown: list[float] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)


def measure(system: System, seconds: int, samples: int, report: Report) -> Section:
    """Load one auth process behind one gateway with sign-ins."""
    before = bcrypt_limit.measure(ROUNDS)
    with system.service("auth"), system.service("gateway"):
        findings = asyncio.run(_measure(system, Findings(before), seconds, samples, report))
    findings.limit = bcrypt_limit.average(before, bcrypt_limit.measure(ROUNDS))
    return _section(findings, seconds)


async def _measure(
    system: System, findings: Findings, seconds: int, samples: int, report: Report
) -> Findings:
    async with client_of(system.url) as client:
        _, answer = await _sign_in(client, system.mobiles[0], PASSWORD)
        token = answer["token"]
        await client.profile_times(token, PROFILES_PER_SECOND, 1)  # connections are made
        report("sign-in: idle")
        findings.idle = await client.profile_times(token, PROFILES_PER_SECOND, seconds)
        report("sign-in: under load")
        findings.loaded, _ = await asyncio.gather(
            client.profile_times(token, PROFILES_PER_SECOND, seconds),
            _load(client, system, findings, seconds),
        )
        report("sign-in: unknown number and wrong password")
        for number in range(samples):
            mobile = system.mobiles[-1 - number]
            findings.unknown.append((await _sign_in(client, f"139{number:08}", WRONG, 400))[0])
            findings.wrong.append((await _sign_in(client, mobile, WRONG, 400))[0])
    return findings


async def _sign_in(client: Client, mobile: str, password: str, expected: int = 200) -> tuple[float, Any]:
    return await client.post("/login/", {"mobile": mobile, "password": password}, expected)


async def _load(client: Client, system: System, findings: Findings, seconds: int) -> None:
    """Keep some sign-ins in flight, and count those answered after the queue has filled."""
    mobiles = itertools.cycle(system.mobiles)
    finished: list[float] = []
    end = time.perf_counter() + seconds

    async def sign_in_on() -> None:
        while time.perf_counter() < end:
            taken, _ = await _sign_in(client, next(mobiles), PASSWORD)
            findings.sign_ins.append(taken)
            finished.append(time.perf_counter())

    await asyncio.gather(*(sign_in_on() for _ in range(IN_FLIGHT_PER_CORE * len(cores()))))
    findings.per_second = _steady_rate([moment for moment in finished if moment <= end])


def _steady_rate(moments: list[float]) -> float:
    """Return answers per second from the end of the first batch, one for each core, to the last answer."""
    first = len(cores())
    ordered = sorted(moments)
    return (len(ordered) - first) / (ordered[-1] - ordered[first - 1])


def _section(findings: Findings, seconds: int) -> Section:
    section = Section("Sign-in")
    section.notes = [
        f"bcrypt at cost {ROUNDS}; one auth process behind one gateway, with MariaDB, Redis and RabbitMQ "
        f"on the same {len(cores())} cores as the client. {IN_FLIGHT_PER_CORE * len(cores())} sign-ins in "
        f"flight for {seconds} s; `GET /me/` {PROFILES_PER_SECOND} times a second, idle and meanwhile. "
        "The spread is the distance between the quartiles.",
    ]
    section.tables = [_throughput(findings), _latencies(findings)]
    section.targets = _targets(findings)
    section.bars = [
        ("sign-ins/s", "cores ÷ verify time", findings.limit.per_second),
        ("sign-ins/s", "bcrypt, a thread per core", findings.limit.threaded_per_second),
        ("sign-ins/s", "sign-ins", findings.per_second),
        ("GET /me/ p99, ms", "idle", percentile(findings.idle, 99) * 1000),
        ("GET /me/ p99, ms", "during sign-ins", percentile(findings.loaded, 99) * 1000),
    ]
    return section


def _throughput(findings: Findings) -> Table:
    limit = findings.limit
    rows = [
        (f"bcrypt, cores ÷ verify time ({ms(limit.seconds)})", f"{limit.per_second:.2f}"),
        ("bcrypt, one thread for each core", f"{limit.threaded_per_second:.2f}"),
        ("sign-ins", f"{findings.per_second:.2f}"),
    ]
    return Table("Sign-ins", ("", "per second"), rows)


def _latencies(findings: Findings) -> Table:
    measured = {
        "GET /me/, idle": findings.idle,
        "GET /me/, during sign-ins": findings.loaded,
        "sign-in, right password, under load": findings.sign_ins,
        "sign-in, unknown number, idle": findings.unknown,
        "sign-in, wrong password, idle": findings.wrong,
    }
    rows = [
        (name, str(len(of)), ms(statistics.median(of)), ms(percentile(of, 99)), ms(spread(of)))
        for name, of in measured.items()
    ]
    return Table("Latencies", ("", "samples", "median", "p99", "spread"), rows)


def _targets(findings: Findings) -> list[Target]:
    limit = findings.limit
    slower = percentile(findings.loaded, 99) / percentile(findings.idle, 99)
    difference = abs(statistics.median(findings.unknown) - statistics.median(findings.wrong))
    noise = min(spread(findings.unknown), spread(findings.wrong))
    return [
        at_least("sign-ins/s ÷ (cores ÷ verify time)", 0.95, findings.per_second / limit.per_second),
        at_least(
            "sign-ins/s ÷ bcrypt with a thread for each core",
            0.95,
            findings.per_second / limit.threaded_per_second,
        ),
        Target("GET /me/ p99, during sign-ins ÷ idle", "< 3", f"{slower:.2f}", slower < 3),
        Target(
            "unknown number against wrong password, difference of medians",
            f"< {ms(noise)} (spread)",
            ms(difference),
            difference < noise,
        ),
    ]
