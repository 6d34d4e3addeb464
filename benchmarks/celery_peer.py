"""Celery beside the worker: its queue filled, its worker started, its rate measured in the same way."""

import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.broker import watching
from benchmarks.peers.celery_app import QUEUE, URL_VARIABLE, app, nothing
from benchmarks.processes import module, running

OPTIONS = ("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")


def celery_version() -> str:
    """Return the peer's version."""
    return f"celery {version('celery')}, kombu {version('kombu')}"


def tasks_per_second(url: str, total: int, processes: int, folder: Path) -> float:
    """Have a worker with so many child processes empty a queue of tasks that do nothing."""
    app.conf.broker_url = url
    for _ in range(total):
        nothing.delay()
    options = ["--pool", "prefork", "--concurrency", str(processes), *OPTIONS]
    command = module("celery", "-A", "benchmarks.peers.celery_app", "worker", *options)
    with watching(url, QUEUE) as watch:
        began = time.perf_counter()
        with running("celery", command, folder, {URL_VARIABLE: url}):
            watch.await_empty()
        return watch.rate(total, began)
