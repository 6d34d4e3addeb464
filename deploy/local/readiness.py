"""Whether the services answer that they are ready."""

import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException

from deploy.local.environment import Settings

OK = 200
PATIENCE = 90.0


def probes(ports: Settings) -> dict[str, tuple[int, str]]:
    """Return the port and path by which each service tells that it is ready."""
    found = {
        "gateway": (int(ports["GATEWAY_OPS_PORT"]), "/readyz"),
        "auth": (int(ports["AUTH_PORT"]), "/readyz"),
        "sms": (int(ports["SMS_PORT"]), "/readyz"),
    }
    if "SIMULATOR_PORT" in ports:
        found["simulator"] = (int(ports["SIMULATOR_PORT"]), "/healthz")
    return found


def answers(port: int, path: str) -> bool:
    """Tell whether a service answers 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def unready(
    wanted: Mapping[str, tuple[int, str]], given_up: Callable[[], bool], patience: float = PATIENCE
) -> list[str]:
    """Wait until all of `wanted` are ready; return the names of those that are not in time."""
    deadline = time.monotonic() + patience
    waiting = list(wanted)
    while waiting and not given_up() and time.monotonic() < deadline:
        waiting = [name for name in waiting if not answers(*wanted[name])]
        if waiting:
            time.sleep(0.1)
    return waiting
