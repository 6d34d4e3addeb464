"""Free ports for private servers, which keep them in later runs.

A port that was chosen is claimed: no other process that chooses ports by this module, in this checkout or
another one, gets it, although nothing listens on it yet, or again.
"""

import json
import os
import secrets
import socket
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range of ephemeral ports: a client that retries to reach a stopped server can otherwise
# connect to itself from the server's port.
FIRST, COUNT = 20_000, 10_000
ATTEMPTS = 200
# Each is a descriptor; the oldest ones, which have been used by then, are given up.
MAX_CLAIMS = 200

_claims: OrderedDict[int, int] = OrderedDict()  # descriptors by port


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server can listen on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def claim(port: int) -> bool:
    """Keep other processes from choosing `port` while this one runs; return whether none has chosen it.

    The claim is a socket on the UDP port of the same number, which nothing else here uses: the kernel gives
    it to one process, and takes it back when the process ends, in whatever way.
    """
    if port in _claims:
        _claims.move_to_end(port)
        return True
    held = socket.socket(type=socket.SOCK_DGRAM)
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        return False
    _claims[port] = held.detach()  # until the process ends, on purpose
    while len(_claims) > MAX_CLAIMS:
        os.close(_claims.popitem(last=False)[1])
    return True


def free_port(taken: Iterable[int] = ()) -> int:
    """Claim a free port of the loopback interface that is not in `taken`, and not claimed before."""
    for _ in range(ATTEMPTS):
        port = FIRST + secrets.randbelow(COUNT)
        if port not in taken and port not in _claims and is_free(port) and claim(port):
            return port
    with socket.socket() as probe:  # none found: let the kernel choose
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a different free port for each name."""
    return _complete({}, names)


def persistent_ports(file: Path, names: Iterable[str]) -> dict[str, int]:
    """Claim the ports that `file` has from an earlier run if they are still free, else new ones."""
    saved = json.loads(file.read_text()) if file.exists() else {}
    reused = {name: port for name, port in saved.items() if is_free(port) and claim(port)}
    ports = _complete(reused, names)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ports))
    return ports


def _complete(ports: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    for name in names:
        if name not in ports:
            ports[name] = free_port(taken=ports.values())
    return ports
