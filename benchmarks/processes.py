"""The measured programs as processes."""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError, tail
from deploy.local.ports import LOOPBACK
from deploy.local.processes import OwnedProcess

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 30.0


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a Python program of this project.

    Bytecode is cached, as in an installation, so that start times do not include compilation.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": str(ROOT), **settings}


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python module."""
    return [sys.executable, "-m", name, *arguments]


@contextmanager
def running(
    name: str, command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[OwnedProcess]:
    """Run a program for the block's time, with its log in `folder`."""
    log = folder / f"{name}.log"
    process = OwnedProcess(
        command, log=log, pid_file=folder / f"{name}.pid", environment=environment(settings or {})
    )
    try:
        yield process
        if not process.running:
            raise LocalError(f"{name} ended by itself; its log ends:\n{tail(log)}")
    finally:
        process.end()


def await_port(process: OwnedProcess, name: str, port: int) -> None:
    """Wait until the program accepts connections."""
    deadline = time.monotonic() + PATIENCE
    while process.running and time.monotonic() < deadline:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise LocalError(f"{name} does not accept connections on port {port}")
