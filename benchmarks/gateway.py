"""Requests per second and latency of the gateway and of its peers."""

import statistics
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import wrk
from benchmarks.candidates import (
    AIOHTTP,
    ANSWER,
    BODY,
    GATEWAY,
    GATEWAY_ORIGIN,
    GATEWAY_TOKEN,
    ORIGIN,
    TORNADO,
    Candidate,
    all_running,
)
from benchmarks.figures import Section, Table, Target, at_least
from benchmarks.progress import Report
from benchmarks.samples import ms
from deploy.local.errors import LocalError
from deploy.local.ports import LOOPBACK
from deploy.local.programs import ensure_programs

WARM_UP_SECONDS = 1


def measure(folder: Path, rounds: int, seconds: int, report: Report) -> Section:
    """Measure every candidate under the same load, in alternating rounds."""
    ensure_programs("nginx", "wrk")
    with all_running(folder) as candidates:
        for candidate in candidates:
            _check_answer(candidate)
            wrk.post(candidate.url, BODY, candidate.headers, WARM_UP_SECONDS)
        loads: dict[str, list[wrk.Load]] = {candidate.name: [] for candidate in candidates}
        for number in range(rounds):
            report(f"gateway: round {number + 1} of {rounds}")
            for candidate in candidates:
                loads[candidate.name].append(wrk.post(candidate.url, BODY, candidate.headers, seconds))
    medians = {name: _median(of_candidate) for name, of_candidate in loads.items()}
    return _section(candidates, medians, rounds, seconds)


def _check_answer(candidate: Candidate) -> None:
    connection = HTTPConnection(LOOPBACK, candidate.port, timeout=5)
    headers = {"Content-Type": "application/json", **candidate.headers}
    connection.request("POST", candidate.path, BODY, headers)
    response = connection.getresponse()
    body = response.read().decode()
    allowed = response.getheader("Access-Control-Allow-Origin")
    connection.close()
    if response.status != 200 or body != ANSWER:
        raise LocalError(f"{candidate.name} answers {response.status}: {body[:200]}")
    if candidate.name == GATEWAY_ORIGIN and allowed != ORIGIN:
        raise LocalError("the gateway does not allow the configured origin")


def _median(loads: Sequence[wrk.Load]) -> wrk.Load:
    return wrk.Load(
        statistics.median(load.requests_per_second for load in loads),
        statistics.median(load.p50 for load in loads),
        statistics.median(load.p99 for load in loads),
    )


def _section(
    candidates: Sequence[Candidate], medians: dict[str, wrk.Load], rounds: int, seconds: int
) -> Section:
    section = Section("Gateway")
    section.notes = [
        f"POST of {len(BODY)} bytes, an answer of {len(ANSWER)}, {wrk.CONNECTIONS} connections, "
        f"medians of {rounds} alternated rounds of {seconds} s. One process each, on one core; the load "
        "and the upstream, an nginx, on another. The gateway has everything on: CORS, request ids, "
        "limits, metrics, a JSON log line for each request. Its peers do nothing but answer or forward.",
    ]
    rows = [_row(candidate, medians[candidate.name]) for candidate in candidates]
    section.tables = [Table("Gateway", ("", "version", "requests/s", "p50", "p99"), rows)]
    section.targets = _targets(medians)
    section.bars = [
        ("requests/s", candidate.name, medians[candidate.name].requests_per_second)
        for candidate in candidates
    ]
    return section


def _row(candidate: Candidate, load: wrk.Load) -> tuple[str, ...]:
    return candidate.name, candidate.version, f"{load.requests_per_second:,.0f}", ms(load.p50), ms(load.p99)


def _targets(medians: dict[str, wrk.Load]) -> list[Target]:
    gateway, aiohttp, tornado = medians[GATEWAY], medians[AIOHTTP], medians[TORNADO]
    origin, token = medians[GATEWAY_ORIGIN], medians[GATEWAY_TOKEN]
    return [
        _ratio(f"gateway ÷ {AIOHTTP}", 1.0, gateway, aiohttp),
        _ratio(f"gateway, with Origin ÷ {AIOHTTP}", 1.0, origin, aiohttp),
        _ratio(f"gateway ÷ {TORNADO}", 0.9, gateway, tornado),
        _ratio("gateway, with a token to check ÷ without", 0.9, token, gateway),
        Target(
            "gateway, p99", f"≤ {ms(aiohttp.p99)} (aiohttp's)", ms(gateway.p99), gateway.p99 <= aiohttp.p99
        ),
    ]


def _ratio(name: str, minimum: float, ours: wrk.Load, other: wrk.Load) -> Target:
    return at_least(f"{name}, requests/s", minimum, ours.requests_per_second / other.requests_per_second)
