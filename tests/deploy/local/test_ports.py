import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_ports, is_free, kept_ports


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


def test_free_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    assert all(20_000 <= port < 30_000 for port in free_ports(["one", "two"]).values())


def test_a_second_run_has_the_ports_of_the_first(tmp_path: Path) -> None:
    first = kept_ports(tmp_path / "ports.json", ["one", "two"])
    assert kept_ports(tmp_path / "ports.json", ["one", "two"]) == first


def test_a_kept_port_in_use_is_replaced(tmp_path: Path, listener: socket.socket) -> None:
    used = listener.getsockname()[1]
    book = tmp_path / "ports.json"
    book.write_text(f'{{"one": {used}}}')
    assert kept_ports(book, ["one"])["one"] != used


def test_a_name_that_is_new_to_the_book_gets_a_port(tmp_path: Path) -> None:
    first = kept_ports(tmp_path / "ports.json", ["one"])
    both = kept_ports(tmp_path / "ports.json", ["one", "two"])
    assert both["one"] == first["one"]
    assert both["two"] != both["one"]
