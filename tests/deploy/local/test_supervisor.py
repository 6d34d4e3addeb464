import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.local.processes import shell_command_tied_to_parent

STAY = "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.05; done"
SCRIPT = """
import os, sys
from deploy.local.supervisor import supervise
commands = dict(pair.split("=", 1) for pair in sys.argv[1:])
order = [["first"], ["second", "missing"]]
print("reason:", supervise(commands, os.environ, ".", lambda supervisor: None, grace=0.5, stop_order=order))
"""


def start(**commands: str) -> "subprocess.Popen[str]":
    pairs = [f"{name}={command}" for name, command in commands.items()]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *pairs], stdout=subprocess.PIPE, text=True)


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was not printed")


def finish(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=20)[0]


def test_a_service_that_exits_stops_the_others_and_is_reported_with_its_last_lines() -> None:
    output = finish(start(stays=STAY, falls="sleep 0.5; echo no database; exit 4"))
    assert "| drained" in output
    assert "reason: falls ended by itself (code 4); its last lines:\n  no database" in output


def test_an_exit_with_status_0_is_reported() -> None:
    assert "reason: falls ended by itself (code 0)" in finish(start(falls="true"))


def test_a_signal_drains_every_service_and_is_not_a_failure() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with start(one=STAY) as process:
            read_until(process, "up")
            process.send_signal(number)
            output = finish(process)
        assert "drained" in output
        assert "reason: None" in output


def test_a_signal_during_the_start_is_not_lost() -> None:
    with start(one=STAY) as process:
        read_until(process, "started")
        process.send_signal(signal.SIGTERM)
        assert "reason: None" in finish(process)


def test_a_service_that_does_not_drain_in_time_is_killed() -> None:
    with start(stuck="trap '' TERM; echo up; while :; do sleep 0.05; done") as process:
        read_until(process, "up")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        finish(process)
    assert 0.5 <= time.monotonic() - began < 10


def test_services_are_killed_with_the_supervisor(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    loop = f"echo >>{beat}; echo up; while :; do echo >>{beat}; sleep 0.05; done"
    with start(one=shell_command_tied_to_parent(["sh", "-c", loop])) as process:
        read_until(process, "up")
        process.kill()
    time.sleep(0.3)
    size = beat.stat().st_size
    time.sleep(0.3)
    assert beat.stat().st_size == size


def test_services_end_in_their_order_each_after_those_before() -> None:
    slow = "trap 'sleep 0.2; echo {}; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    names = ("last", "second", "first")
    with start(**{name: slow.format(f"{name}-ended") for name in names}) as process:
        for _ in names:
            read_until(process, "up")
        process.send_signal(signal.SIGTERM)
        output = finish(process)
    ended = [name for line in output.splitlines() for name in names if f"{name}-ended" in line]
    assert ended == ["first", "second", "last"]


def test_a_service_that_hangs_does_not_keep_those_behind_it_from_ending() -> None:
    stuck = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    with start(first=stuck, second=STAY) as process:
        for _ in range(2):
            read_until(process, "up")
        process.send_signal(signal.SIGTERM)
        assert "drained" in finish(process)
