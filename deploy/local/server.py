"""What the three private servers have in common."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from deploy.local.errors import LocalError, tail
from deploy.local.ports import is_free
from deploy.local.processes import OwnedProcess, stop_stale

PATIENCE = 90.0
POLL = 0.05


class Server(ABC):
    """A private instance of a server: a folder with its data, a port, a process group.

    It can be stopped or killed and started again, on the same port and with its data.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, port: int, *, patience: float = PATIENCE) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.log = self.folder / "server.log"
        self._patience = patience
        self._process: OwnedProcess | None = None
        self._helpers: list[OwnedProcess] = []
        self._unwanted = False
        self._serving = False

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with credentials, as the services' settings take it."""

    @property
    def running(self) -> bool:
        """Whether its process lives, paused or not."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it and return once it answers; `LocalError` with the log's end otherwise."""
        if self.running:
            return
        self._unwanted = self._serving = False
        self._prepare()
        if not is_free(self.port):
            raise LocalError(f"{self.name}: port {self.port} is in use")
        self._process = self._spawn("server", self._command(), self._environment())
        self._await_answer(self._process)
        self._serving = True

    def stop(self) -> None:
        """Stop it in the orderly way, paused or not."""
        self._unwanted = True
        if self._process and self._serving:
            self._process.end()
        elif self._process:  # while it boots, it may not heed a polite request
            self._process.kill()
        self._stop_helpers()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process:
            self._process.kill()
        self._stop_helpers()

    def pause(self) -> None:
        """Make it hang: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The program in the foreground."""

    @abstractmethod
    def _probe(self) -> None:
        """Talk to it in its protocol; any exception means that it does not answer yet."""

    def _environment(self) -> Mapping[str, str] | None:
        return None

    def _prepare(self) -> None:
        """Make what has to be there before it starts, and clear what an earlier run left."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stop_stale(self.folder / "server.pid")

    def _stop_helpers(self) -> None:
        while self._helpers:
            self._helpers.pop().end()

    def _spawn(
        self, role: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> OwnedProcess:
        if self._unwanted:
            raise LocalError(f"{self.name}: stopped while starting")
        pid_file = self.folder / f"{role}.pid"
        return OwnedProcess(command, log=self.log, pid_file=pid_file, environment=environment)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.signal(number)

    def _await_answer(self, process: OwnedProcess) -> None:
        deadline = time.monotonic() + self._patience
        while process.running and time.monotonic() < deadline:
            try:
                self._probe()
            except Exception:  # noqa: BLE001 - each protocol has errors of its own; all mean "not yet"
                process.wait(POLL)
            else:
                return
        reason = "gave no answer in time" if process.running else "ended while starting"
        self.kill()
        raise LocalError(f"{self.name} {reason}; the end of its log:\n{tail(self.log)}")
