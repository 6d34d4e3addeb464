import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import OwnedProcess, identity, stop_stale

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
OWNER = """
import pathlib, sys, time
from deploy.local.processes import OwnedProcess
folder = pathlib.Path(sys.argv[1])
child = OwnedProcess(["sleep", "60"], log=folder / "log", pid_file=folder / "pid")
print(child.pid, flush=True)
time.sleep(60)
"""


def spawn(folder: Path, *command: str) -> OwnedProcess:
    return OwnedProcess(command, log=folder / "log", pid_file=folder / "pid")


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


@pytest.fixture(name="sleeper")
def _sleeper(tmp_path: Path) -> Iterator[OwnedProcess]:
    process = spawn(tmp_path, "sleep", "60")
    yield process
    process.kill()


def test_a_process_has_a_return_code_and_a_log(tmp_path: Path) -> None:
    process = spawn(tmp_path, "sh", "-c", "echo gone; exit 3")
    assert process.wait(10)
    assert process.returncode == 3
    assert (tmp_path / "log").read_text() == "gone\n"


def test_an_ended_process_has_no_pid_file(tmp_path: Path, sleeper: OwnedProcess) -> None:
    assert (tmp_path / "pid").exists()
    sleeper.end()
    assert not sleeper.running
    assert not (tmp_path / "pid").exists()


def test_a_paused_process_can_be_ended(sleeper: OwnedProcess) -> None:
    sleeper.signal(signal.SIGSTOP)
    sleeper.end()
    assert not sleeper.running


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = spawn(tmp_path, sys.executable, "-c", STUBBORN)
    wait_for("up", tmp_path / "log")
    process.end(grace=0.1)
    assert process.returncode == -signal.SIGKILL


def test_a_process_is_killed_with_its_owner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert identity(pid)
        owner.kill()
    deadline = time.monotonic() + 5
    while identity(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_left_by_an_earlier_run_is_stopped(tmp_path: Path, sleeper: OwnedProcess) -> None:
    assert stop_stale(tmp_path / "pid")
    assert sleeper.wait(5)
    assert not (tmp_path / "pid").exists()


def test_another_process_with_the_recorded_pid_is_not_stopped(tmp_path: Path) -> None:
    recorded = tmp_path / "pid"
    recorded.write_text(json.dumps({"pid": os.getpid(), "started": "another time"}))
    assert not stop_stale(recorded)
    assert not recorded.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": null, "started": "1"}', "{}"])
def test_an_incomplete_pid_file_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert not stop_stale(tmp_path / "pid")


def test_without_a_pid_file_nothing_is_stopped(tmp_path: Path) -> None:
    assert not stop_stale(tmp_path / "pid")
