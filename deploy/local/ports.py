"""Free ports for private servers, which keep them in later runs."""

import json
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range of ephemeral ports: a client that retries to reach a stopped server can otherwise
# connect to itself from the server's port.
FIRST, COUNT = 20_000, 10_000
ATTEMPTS = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server can listen on `port`."""
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
    with socket.socket() as probe:  # none found: let the kernel choose
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a different free port for each name."""
    return _complete({}, names)


def persistent_ports(file: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the ports that `file` has from an earlier run if they are still free, else new ones."""
    saved = json.loads(file.read_text()) if file.exists() else {}
    reused = {name: port for name, port in saved.items() if is_free(port)}
    ports = _complete(reused, names)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ports))
    return ports


def _complete(ports: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    for name in names:
        if name not in ports:
            ports[name] = free_port(taken=ports.values())
    return ports
