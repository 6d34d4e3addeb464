"""Base class of the private servers."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deploy.local.errors import LocalError, tail
from deploy.local.ports import is_free
from deploy.local.private import private_environment
from deploy.local.processes import OwnedProcess, stop_stale

START_TIMEOUT = 90.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ServerTls:
    """The files of a server's certificate, in PEM."""

    ca: Path
    certificate: Path
    key: Path


class Server(ABC):
    """A private instance of a server, with its data in a folder.

    It can be stopped or killed and started again, with the same port and data.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, port: int, *, timeout: float = START_TIMEOUT) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.log = self.folder / "server.log"
        self._timeout = timeout
        self._process: OwnedProcess | None = None
        self._helpers: list[OwnedProcess] = []
        self._stopping = False
        self._ready = False

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL with credentials, for the services' settings."""

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            LocalError: it ends or does not answer in time; the message has the end of its log.
        """
        if self.running:
            return
        self._stopping = self._ready = False
        self._prepare()
        if not is_free(self.port):
            raise LocalError(f"{self.name}: port {self.port} is in use")
        self._process = self._spawn("server", self._command())
        self._wait_until_ready(self._process)
        self._ready = True

    def stop(self) -> None:
        """Shut it down, paused or not."""
        self._stopping = True
        if self._process and self._ready:
            self._process.end()
        elif self._process:  # during its start a server may ignore SIGTERM
            self._process.kill()
        self._stop_helpers()

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        if self._process:
            self._process.kill()
        self._stop_helpers()

    def pause(self) -> None:
        """Make it hang: connections stay open without answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume it after `pause`."""
        self._signal(signal.SIGCONT)

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def _probe(self) -> None:
        """Connect to it; any exception means that it is not ready."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the server and its programs, in which all folders are its own."""
        return private_environment(self.folder)

    def _prepare(self) -> None:
        """Prepare the start: create files, end processes of an earlier run."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stop_stale(self.folder / "server.pid")

    def _stop_helpers(self) -> None:
        while self._helpers:
            self._helpers.pop().end()

    def _spawn(self, role: str, command: Sequence[str]) -> OwnedProcess:
        if self._stopping:
            raise LocalError(f"{self.name}: stopped while starting")
        pid_file = self.folder / f"{role}.pid"
        return OwnedProcess(command, log=self.log, pid_file=pid_file, environment=self.environment())

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.signal(number)

    def _wait_until_ready(self, process: OwnedProcess) -> None:
        deadline = time.monotonic() + self._timeout
        while process.running and time.monotonic() < deadline:
            try:
                self._probe()
            except Exception:  # noqa: BLE001 - any exception means "not ready"
                process.wait(POLL_SECONDS)
            else:
                return
        reason = "gave no answer in time" if process.running else "ended while starting"
        self.kill()
        raise LocalError(f"{self.name} {reason}; the end of its log:\n{tail(self.log)}")
