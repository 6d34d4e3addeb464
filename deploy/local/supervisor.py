"""Runs the services in one terminal; when one ends, all are stopped."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from multiprocessing.queues import Queue
from types import MappingProxyType

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Process

from deploy.local.launch import die_with_parent

GRACE_SECONDS = 20.0
LAST_LINES = 10
START_POLL = 0.1
STOP_POLL = 0.05


class TiedProcess(Process):  # type: ignore[misc]  # honcho has no types
    """A service whose honcho process, and with it the service, is killed with the supervisor."""

    def run(
        self,
        events: "Queue[Message] | None" = None,
        ignore_signals: bool = False,  # noqa: FBT001, FBT002 - honcho's signature
    ) -> None:
        """Run the service and report its output."""
        die_with_parent(os.getppid())
        super().run(events, ignore_signals)


class RecordingPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """A printer that records the last lines of each service."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, deque[str]] = {}

    def write(self, message: Message) -> None:
        """Print a message and record its lines."""
        text = message.data
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        self.last.setdefault(message.name, deque(maxlen=LAST_LINES)).extend(text.splitlines())
        super().write(message)


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """Starts the services, and stops all of them when one ends or a signal arrives."""

    def __init__(
        self,
        watch: Callable[["Supervisor"], None],
        grace: float = GRACE_SECONDS,
        stop_order: Sequence[Collection[str]] = (),
    ) -> None:
        self.printer = RecordingPrinter()
        super().__init__(self.printer)
        self._process_ctor = TiedProcess
        self._watch = watch
        self._grace = grace
        self._stop_order = stop_order
        self.failure: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether the services are being stopped."""
        return bool(self._terminating)

    def terminate(self) -> None:
        """Ask the services to end, in their order, and kill those that have not after the grace period."""
        if self.stopping:
            return
        if not self._all_started():  # honcho does not know all process ids yet
            self._after(START_POLL, self.terminate)
            return
        self.failure = self.failure or self._first_exit()
        self._terminating = True
        threading.Thread(target=self._stop_in_order, daemon=True).start()

    def _stop_in_order(self) -> None:
        ordered = {name for group in self._stop_order for name in group}
        for group in (*self._stop_order, [name for name in self._processes if name not in ordered]):
            self._send(group, self._procmgr.terminate)
            deadline = time.monotonic() + self._grace
            while self._running(group) and time.monotonic() < deadline:
                time.sleep(STOP_POLL)
            self._send(group, self._procmgr.kill)

    def _running(self, group: Collection[str]) -> dict[str, int]:
        """Return the process ids of those that have not ended."""
        states = ((name, self._processes.get(name, {})) for name in group)
        return {name: state["pid"] for name, state in states if "pid" in state and "returncode" not in state}

    def _send(self, group: Collection[str], signal_group: Callable[[int], None]) -> None:
        for pid in self._running(group).values():
            signal_group(pid)

    def kill(self) -> None:
        """Do nothing: honcho would kill the services before their drain has ended."""

    def fail(self, reason: str) -> None:
        """Stop everything, with a reason."""
        self.failure = self.failure or reason
        self.terminate()

    def _start(self) -> None:
        super()._start()
        threading.Thread(target=self._watch, args=(self,), daemon=True).start()

    @staticmethod
    def _after(seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    def _first_exit(self) -> str | None:
        for name, state in self._processes.items():
            code = state.get("returncode")
            if code is not None:
                lines = "\n".join(f"  {line}" for line in self.printer.last.get(name, ()))
                return f"{name} ended by itself (code {code}); its last lines:\n{lines}"
        return None


def supervise(
    commands: Mapping[str, str],
    environment: Mapping[str, str],
    cwd: str,
    watch: Callable[[Supervisor], None],
    grace: float = GRACE_SECONDS,
    own_environments: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    stop_order: Sequence[Collection[str]] = (),
) -> str | None:
    """Run `commands` until a signal arrives.

    Args:
        commands: by their names.
        environment: of the commands without one of their own.
        cwd: the folder that they run in.
        watch: called in a thread of its own.
        grace: seconds until a command that was asked to end is killed.
        own_environments: by the names of their commands.
        stop_order: names of commands: those of a group are asked to end once the groups before have ended;
            the ones in no group are the last.

    Returns:
        the reason if they ended otherwise, else None.
    """
    supervisor = Supervisor(watch, grace, stop_order)
    for name, command in commands.items():
        supervisor.add_process(name, command, env=dict(own_environments.get(name, environment)), cwd=cwd)
    supervisor.loop()
    return supervisor.failure
