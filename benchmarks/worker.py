"""The SMS worker's messages per second: beside what its provider allows, beside Celery's, and by replicas."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from aio_pika import DeliveryMode, Message

from benchmarks import broker, celery_peer, provider
from benchmarks.figures import Section, Table, Target, at_least
from benchmarks.machine import cores
from benchmarks.progress import Report
from benchmarks.system import System
from deploy.local.errors import LocalError
from deploy.local.ports import free_port
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.contracts.messages import SendCode, SendCodeV2, encode_send_code
from shared.security.sealing import Sealer

SLOW_SECONDS = 0.05
CONCURRENCIES = (16, 32, 64)
INSTANT_CONCURRENCY = 64
REPLICA_CONCURRENCY = 8
INSTANT_MESSAGES, CELERY_TASKS = 6_000, 6_000
PROCESSES = (1, 2)
MOST_ROUNDS = 3  # one takes a minute and a half
NUMBERS = count()


@dataclass(slots=True)
class Findings:
    """Messages per second, one figure a round."""

    slow: dict[int, list[float]] = field(default_factory=lambda: {number: [] for number in CONCURRENCIES})
    instant: dict[int, list[float]] = field(default_factory=lambda: {number: [] for number in PROCESSES})
    celery: dict[int, list[float]] = field(default_factory=lambda: {number: [] for number in PROCESSES})
    replicas: dict[int, list[float]] = field(default_factory=lambda: {number: [] for number in PROCESSES})


def measure(system: System, rounds: int, seconds: int, report: Report) -> Section:
    """Have workers empty a full queue, in turns with Celery."""
    findings = Findings()
    url = system.settings["AMQP_URL"]
    for number in range(rounds):
        report(f"worker: round {number + 1} of {rounds}")
        for concurrency, found in findings.slow.items():
            total = round(concurrency / SLOW_SECONDS * seconds)
            found.append(_rate(system, total, concurrency, SLOW_SECONDS))
        for processes in PROCESSES:
            total = round(processes * REPLICA_CONCURRENCY / SLOW_SECONDS * (seconds + 1))
            found = findings.replicas[processes]
            found.append(_rate(system, total, REPLICA_CONCURRENCY, SLOW_SECONDS, processes))
            found = findings.instant[processes]
            found.append(_rate(system, INSTANT_MESSAGES, INSTANT_CONCURRENCY, 0, processes))
            rate = celery_peer.tasks_per_second(url, CELERY_TASKS, processes, system.folder)
            findings.celery[processes].append(rate)
    return _section(findings, rounds)


def _rate(system: System, total: int, concurrency: int, seconds: float, replicas: int = 1) -> float:
    """Return the messages per second that replicas of the worker deliver together."""
    port = free_port()
    settings = {"YUNPIAN_BASE_URL": f"http://127.0.0.1:{port}", "SMS_CONCURRENCY": str(concurrency)}
    url = system.settings["AMQP_URL"]
    asyncio.run(broker.fill(url, [_message(system) for _ in range(total)]))
    with ExitStack() as stack:
        stack.enter_context(provider.answering(port, seconds, system.folder))
        watch = stack.enter_context(broker.watching(url, SEND_CODE_QUEUE))
        for number in range(replicas):
            one = system.variant(f"replica-{number}", SMS_PORT=str(free_port()), **settings)
            stack.enter_context(one.service("sms"))
        began = time.perf_counter()
        watch.await_empty()
        _await_texts(port, total)
        return watch.rate(total, began)


def _message(system: System) -> Message:
    now = datetime.now(UTC)
    message = SendCode(
        message_id=secrets.token_hex(16),
        mobile=f"137{next(NUMBERS):08}",
        code="123456",
        purpose="register",
        created_at=now,
        expires_at=now + timedelta(minutes=10),
    )
    return Message(
        encode_send_code(message, Sealer([system.settings["MESSAGE_SECRET"]])),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        timestamp=now,
        type=SendCodeV2.TYPE,
    )


def _await_texts(port: int, total: int) -> None:
    """Return once the provider has had every message; more than that would be sent twice."""
    deadline = time.monotonic() + 10
    while (texts := provider.texts(port)) != total:
        if texts > total or time.monotonic() > deadline:
            raise LocalError(f"of {total} messages {texts} reached the provider")
        time.sleep(0.02)


def _section(findings: Findings, rounds: int) -> Section:
    section = Section("Worker")
    section.notes = [
        "A queue is filled, then emptied; the rate is that of the queue's length while all replicas run, "
        f"without the first and last 5 %. Medians of {rounds} alternated rounds, everything on the same "
        f"{len(cores())} cores: broker, Redis, the provider's stand-in (a fixed answer from a bare asyncio "
        f"protocol), {INSTANT_CONCURRENCY} messages in work at once with the instant provider. The worker "
        "reads and opens each message, records it in Redis before and after the call, calls over HTTP, "
        "acknowledges. Celery's task does nothing; its queue is a quorum queue too and it acknowledges "
        "late, as the worker does; prefork with so many child processes and one that feeds them.",
    ]
    section.tables = [_slow_table(findings), _replica_table(findings), _instant_table(findings)]
    section.targets = _targets(findings)
    panel = "messages/s, instant provider"
    for processes in PROCESSES:
        ours, theirs = findings.instant[processes], findings.celery[processes]
        section.bars.append((panel, f"{_times(processes)} worker", statistics.median(ours)))
        section.bars.append((panel, f"Celery, {_times(processes)} child", statistics.median(theirs)))
    return section


def _slow_table(findings: Findings) -> Table:
    rows = [
        (f"{concurrency} in work at once", _rounded(concurrency / SLOW_SECONDS), _median(rates))
        for concurrency, rates in findings.slow.items()
    ]
    return Table("Worker, provider of 50 ms", ("", "concurrency ÷ 0.05 s", "messages/s"), rows)


def _replica_table(findings: Findings) -> Table:
    rows = [
        (f"{_times(processes)} {REPLICA_CONCURRENCY} in work at once", _median(rates))
        for processes, rates in findings.replicas.items()
    ]
    return Table("Worker, replicas, provider of 50 ms", ("", "messages/s"), rows)


def _instant_table(findings: Findings) -> Table:
    rows = []
    for processes in PROCESSES:
        rows.append((f"{_times(processes)} worker", "this one", _median(findings.instant[processes])))
        name = f"Celery, {_times(processes)} child process, no-op task"
        rows.append((name, celery_peer.celery_version(), _median(findings.celery[processes])))
    return Table("Worker, instant provider", ("", "version", "messages/s"), rows)


def _targets(findings: Findings) -> list[Target]:
    slow = [
        at_least(
            f"worker, {concurrency} at once, messages/s ÷ (concurrency ÷ 0.05 s)",
            0.97,
            statistics.median(rates) * SLOW_SECONDS / concurrency,
        )
        for concurrency, rates in findings.slow.items()
    ]
    beside = [
        at_least(
            f"{_times(processes)} worker, instant provider ÷ Celery with as many, messages/s",
            2,
            statistics.median(findings.instant[processes]) / statistics.median(findings.celery[processes]),
        )
        for processes in PROCESSES
    ]
    one, two = (statistics.median(findings.replicas[processes]) for processes in PROCESSES)
    return [*slow, *beside, at_least("2 workers ÷ 1, messages/s", 1.9, two / one)]


def _median(rates: Sequence[float]) -> str:
    return _rounded(statistics.median(rates))


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}"


def _times(number: int) -> str:
    return f"{number} ×"  # noqa: RUF001 - a multiplication
