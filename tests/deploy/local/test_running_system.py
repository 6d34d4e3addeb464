"""The one-machine run: commands find it, it is quiet, and it starts and stops without warnings."""

import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.environment import PROCESSES
from deploy.local.files import hold_lock, write_private
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.programs import ensure_programs
from shared.running_system import COMMANDS, FOLDER_VARIABLE, LOCK
from shared.settings import ServiceSettings
from tests.support.system import ROOT, http_status

# More than ten seconds, in which a gateway asks for everything that it asks for regularly.
QUIET_SECONDS = 15.0
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
VARIABLES = {"AMQP_URL": "amqp://sms:secret@127.0.0.1:5672/", "REDIS_URL": "redis://127.0.0.1:6379/0"}
# A test's process has secrets of its own.
BARE = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}


@dataclass
class Run:
    """A run of the whole system: its process, folder and output."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    output: Path
    port: int

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 90
        while "Dialpass is running." not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def lines(self) -> list[str]:
        return COLOURS.sub("", self.output.read_text()).splitlines()

    def command(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return command(self.folder, *words, **variables)


def command(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run an operator's command as in another terminal: without the system's variables."""
    environment = BARE | {FOLDER_VARIABLE: str(folder)} | variables
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def start(folder: Path) -> Run:
    output, port = folder.parent / f"{folder.name}.output", free_port()
    environment = BARE | {FOLDER_VARIABLE: str(folder), "GATEWAY_PORT": str(port)}
    with output.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "up"], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=written, stderr=written,
        )  # fmt: skip
    return Run(process, folder, output, port)


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    ensure_programs()
    run = start(tmp_path_factory.mktemp("one machine") / ".run")
    try:
        run.wait_ready()
        yield run
    finally:
        run.stop()


def test_a_start_has_no_warning_and_a_quiet_system_writes_no_line(run: Run) -> None:
    time.sleep(2)  # what belongs to the start
    start = run.lines()
    assert [line for line in start if re.search(r"warning|error|critical|Traceback", line)] == []
    time.sleep(QUIET_SECONDS)
    assert http_status(f"http://{LOOPBACK}:{run.port}/") == 200
    quiet = run.lines()[len(start) :]
    assert [line for line in quiet if "route=/ " not in line and "route=/\n" not in f"{line}\n"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("services.sms", "queue", "status"),
        ("services.sms", "queue", "status", "--json"),
        ("services.sms", "dead", "list"),
        ("services.sms", "provider", "check"),
        ("services.auth", "migrate"),
        ("services.auth", "key", "list"),
        ("services.auth", "audit"),
        ("services.auth", "user", "show", "13800138000"),
        ("services.sms", "ledger", "show", "0123456789abcdef0123456789abcdef"),
        ("services.gateway", "client", "192.0.2.1"),
    ],
    ids=" ".join,
)
def test_a_command_in_another_terminal_finds_the_running_system(run: Run, words: tuple[str, ...]) -> None:
    done = run.command(*words)
    assert " is missing" not in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    if words[1] in {"queue", "dead", "provider", "migrate", "key", "audit"}:
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_status_of_the_queues_has_rates(run: Run) -> None:
    done = run.command("services.sms", "queue", "status", "--json")
    queues = {queue["name"]: queue for queue in json.loads(done.stdout)["queues"]}
    assert queues["sms.send_code"]["consumers"] == 1
    assert queues["sms.send_code"]["acknowledged"] == 0.0


def test_what_commands_find_is_their_owners_alone_and_holds_the_variables_of_commands_only(run: Run) -> None:
    file = run.folder / COMMANDS
    assert file.stat().st_mode & 0o777 == 0o600
    found: Mapping[str, Mapping[str, str]] = json.loads(file.read_text())
    assert found.keys() == {"auth", "sms", "gateway"}
    assert "MYSQL_URL" not in found["sms"]
    assert "YUNPIAN_API_KEY" not in found["auth"]
    assert all("PATH" not in variables for variables in found.values())


def test_a_system_that_the_environment_names_wins_and_none_of_the_running_one_is_mixed_in(run: Run) -> None:
    done = run.command("services.sms", "queue", "status", AMQP_URL="amqp://guest:guest@192.0.2.1:5672/")
    assert done.returncode == 2
    assert "REDIS_URL is missing" in done.stderr
    assert "left out, since AMQP_URL names another one" in done.stderr


def test_a_stop_has_no_warning_and_leaves_nothing_for_commands(run: Run) -> None:
    before = len(run.lines())
    assert run.stop() == 0
    stop = run.lines()[before:]
    assert [line for line in stop if re.search(r"warning|error|critical|Traceback", line)] == []
    assert not (run.folder / COMMANDS).exists()
    done = run.command("services.sms", "queue", "status")
    assert done.returncode == 2
    assert "AMQP_URL is missing" in done.stderr


def test_a_file_that_a_killed_run_left_is_explained_and_not_used(tmp_path: Path) -> None:
    write_private(tmp_path / COMMANDS, json.dumps({"sms": VARIABLES}))
    (tmp_path / LOCK).write_text("1234")
    done = command(tmp_path, "services.sms", "queue", "status")
    assert done.returncode == 2
    assert "has ended: start it again" in done.stderr
    assert "secret" not in done.stderr


def test_a_run_that_is_starting_is_explained(tmp_path: Path) -> None:
    with hold_lock(tmp_path / LOCK):
        done = command(tmp_path, "services.sms", "queue", "status")
    assert done.returncode == 2
    assert "is not ready yet" in done.stderr


def test_without_a_run_a_command_says_what_is_missing(tmp_path: Path) -> None:
    done = command(tmp_path / "none", "services.sms", "queue", "status")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(("AMQP_URL is missing", "REDIS_URL is missing"))


@pytest.mark.parametrize("service", ["auth", "sms"])
def test_what_a_service_has_in_a_container_is_enough_for_its_commands(service: str) -> None:
    module, own = PROCESSES[service]
    settings = importlib.import_module(module)
    classes = [found for _, found in inspect.getmembers(settings, inspect.isclass)]
    of_commands = [found for found in classes if issubclass(found, ServiceSettings)]
    needed = {
        name for found in of_commands for name, field in found.model_fields.items() if field.is_required()
    }
    given = getattr(settings, own).model_fields
    assert needed <= {name for name, field in given.items() if field.is_required()}


def required(settings: type[ServiceSettings]) -> set[str]:
    return {name for name, field in settings.model_fields.items() if field.is_required()}


def consumers(run: Run) -> int:
    done = run.command("services.sms", "queue", "status", "--json")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["queues"][0]["consumers"])


def test_two_systems_that_start_at_once_do_not_touch_each_other(tmp_path: Path) -> None:
    ensure_programs()
    runs = [start(tmp_path / name) for name in ("one", "another one")]
    try:
        for run in runs:
            run.wait_ready()
        assert [consumers(run) for run in runs] == [1, 1]
        assert runs[0].stop() == 0
        assert consumers(runs[1]) == 1
        assert runs[1].stop() == 0
    finally:
        for run in runs:
            run.stop()
    assert [line for run in runs for line in run.lines() if "warning" in line] == []
