"""Celery, measured in the same way as the worker."""

import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.broker import watching
from benchmarks.peers.celery_app import QUEUE, URL_VARIABLE, app, nothing
from benchmarks.processes import module, running

OPTIONS = ("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")


def celery_version() -> str:
    """Return the versions."""
    return f"celery {version('celery')}, kombu {version('kombu')}"


def tasks_per_second(url: str, total: int, processes: int, folder: Path) -> float:
    """Return the rate at which a worker with `processes` child processes runs empty tasks."""
    app.conf.broker_url = url
    for _ in range(total):
        nothing.delay()
    options = ["--pool", "prefork", "--concurrency", str(processes), *OPTIONS]
    command = module("celery", "-A", "benchmarks.peers.celery_app", "worker", *options)
    with watching(url, QUEUE) as sampler:
        began = time.perf_counter()
        with running("celery", command, folder, {URL_VARIABLE: url}):
            sampler.await_empty()
        return sampler.rate(total, began)
