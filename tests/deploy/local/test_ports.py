import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from deploy.local.ports import claim, free_port, free_ports, is_free, persistent_ports

ROOT = Path(__file__).parents[3]


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_port_with_a_listener_is_not_free(listener: socket.socket) -> None:
    assert not is_free(listener.getsockname()[1])


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = free_ports(["one", "two", "three"])
    assert len(set(ports.values())) == 3
    assert all(is_free(port) for port in ports.values())


def test_free_ports_are_outside_the_ephemeral_range() -> None:
    assert all(20_000 <= port < 30_000 for port in free_ports(["one", "two"]).values())


def test_a_later_run_has_the_same_ports(tmp_path: Path) -> None:
    first = persistent_ports(tmp_path / "ports.json", ["one", "two"])
    assert persistent_ports(tmp_path / "ports.json", ["one", "two"]) == first


def test_a_saved_port_in_use_is_replaced(tmp_path: Path, listener: socket.socket) -> None:
    used = listener.getsockname()[1]
    file = tmp_path / "ports.json"
    file.write_text(f'{{"one": {used}}}')
    assert persistent_ports(file, ["one"])["one"] != used


def test_a_new_name_gets_a_port(tmp_path: Path) -> None:
    first = persistent_ports(tmp_path / "ports.json", ["one"])
    both = persistent_ports(tmp_path / "ports.json", ["one", "two"])
    assert both["one"] == first["one"]
    assert both["two"] != both["one"]


CHOOSER = """
import sys
from deploy.local.ports import claim, free_port
print(*[int(claim(int(port))) for port in sys.argv[1:]], flush=True)
"""


def claimed_elsewhere(ports: Iterable[int]) -> list[bool]:
    """Return which of the ports another process can claim."""
    command = [sys.executable, "-c", CHOOSER, *map(str, ports)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return [word == "1" for word in shown.split()]


def test_a_chosen_port_is_not_chosen_by_another_process_even_if_nothing_listens_on_it(tmp_path: Path) -> None:
    chosen = [free_port(), *persistent_ports(tmp_path / "ports.json", ["one"]).values()]
    assert claimed_elsewhere(chosen) == [False, False]
    assert all(claim(port) for port in chosen)


def test_a_saved_port_that_another_run_has_chosen_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        file.write_text(f'{{"one": {taken}}}')
        assert persistent_ports(file, ["one"])["one"] != taken


def test_a_process_that_chooses_many_ports_does_not_run_out_of_descriptors() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(500):
        free_port()
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 200
