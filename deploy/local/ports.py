"""Ports for private servers: free ones, and the same ones again in the next run."""

import json
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range that outgoing connections take their ports from: a client that keeps trying to
# reach a stopped server can then never sit on the server's own port.
FIRST, COUNT = 20_000, 10_000
ATTEMPTS = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: Iterable[int] = ()) -> int:
    """Return a free port of the loopback interface that is not in `taken`."""
    for _ in range(ATTEMPTS):
        port = FIRST + secrets.randbelow(COUNT)
        if port not in taken and is_free(port):
            return port
    with socket.socket() as probe:  # a crowded machine: whatever the kernel has
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return one free port for each name, no two alike."""
    return _complete({}, names)


def kept_ports(book: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the ports that `book` holds from an earlier run where still free, else new ones."""
    earlier = json.loads(book.read_text()) if book.exists() else {}
    kept = {name: port for name, port in earlier.items() if is_free(port)}
    ports = _complete(kept, names)
    book.parent.mkdir(parents=True, exist_ok=True)
    book.write_text(json.dumps(ports))
    return ports


def _complete(ports: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    for name in names:
        if name not in ports:
            ports[name] = free_port(taken=ports.values())
    return ports
