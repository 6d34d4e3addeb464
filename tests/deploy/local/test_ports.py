import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_ports, is_free, persistent_ports


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
