"""Child processes with a pid file and a process group, which end with this process."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
GRACE_SECONDS = 20.0


def tied_to_parent(parent: int, command: Sequence[str]) -> list[str]:
    """Return a command that runs `command` and is killed when the process `parent` ends."""
    return [*_launch(), str(parent), *command]


def shell_command_tied_to_parent(command: Sequence[str]) -> str:
    """Return a shell command that executes `command`, killed when the shell's parent ends."""
    return f"exec {shlex.join(_launch())} $PPID {shlex.join(command)}"


def _launch() -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER)]


class OwnedProcess:
    """A program in its own process group, killed when this process ends.

    Its working directory is the log's.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        pid_file: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.returncode: int | None = None
        self._pid_file = pid_file
        self._ended = threading.Event()
        started: Future[int] = Future()
        # PR_SET_PDEATHSIG refers to the thread that forked, so that thread lives as long as the
        # child; it also reaps it.
        thread = threading.Thread(target=self._run, args=(command, log, environment, started), daemon=True)
        thread.start()
        self.pid = started.result()
        pid_file.write_text(json.dumps({"pid": self.pid, "started": identity(self.pid)}))

    @property
    def running(self) -> bool:
        """Whether the program is running."""
        return not self._ended.is_set()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the program to end; return whether it did."""
        return self._ended.wait(timeout)

    def end(self, grace: float = GRACE_SECONDS) -> None:
        """Terminate the program, paused or not; kill it after `grace` seconds."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        if not self.wait(grace):
            self.kill()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the program and wait until it has ended."""
        self.signal(signal.SIGKILL)
        self.wait()
        self._pid_file.unlink(missing_ok=True)

    def _run(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None,
        started: "Future[int]",
    ) -> None:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    tied_to_parent(os.getpid(), command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=log.parent,
                    start_new_session=True,
                )
        except OSError as error:
            self._ended.set()
            started.set_exception(error)
            return
        started.set_result(process.pid)
        self.returncode = process.wait()
        self._ended.set()


def identity(pid: int) -> str | None:
    """Return when the process started, which distinguishes it from a later one with the same pid."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        shown = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip() or None
    try:
        # The program's name, in parentheses, can contain anything; the start time is the 20th field after.
        state, *fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields[18]


def stop_stale(pid_file: Path, grace: float = GRACE_SECONDS) -> bool:
    """End the process group that an earlier run left; return whether there was one."""
    if not pid_file.exists():
        return False
    with suppress(ValueError, KeyError, TypeError):  # an incomplete file
        recorded = json.loads(pid_file.read_text())
        pid, started = int(recorded["pid"]), recorded["started"]
        if started is not None and identity(pid) == started:
            _end_group(pid, started, grace)
            pid_file.unlink(missing_ok=True)
            return True
    pid_file.unlink(missing_ok=True)
    return False


def _end_group(pid: int, started: str, grace: float) -> None:
    deadline = time.monotonic() + grace
    for number in (signal.SIGTERM, signal.SIGCONT):
        with suppress(ProcessLookupError):
            os.killpg(pid, number)
    while identity(pid) == started:
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        time.sleep(0.05)
