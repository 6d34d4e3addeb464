"""The settings of a one-machine run: the user's own first, defaults for the rest."""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv import dotenv_values

from deploy.local.errors import LocalError
from deploy.local.files import read_or_create
from deploy.local.ports import is_free

Settings = dict[str, str]

PORTS = {
    "GATEWAY_PORT": 8888,
    "GATEWAY_OPS_PORT": 8889,
    "AUTH_PORT": 8001,
    "SMS_PORT": 8002,
    "SIMULATOR_PORT": 8899,
}
LAST_PORT = 65_535
# Everybody who uses a one-machine run comes from one address, and invents numbers.
NO_SUSPICION = {
    "CODE_CHALLENGE_ADDRESS": "10000/10minutes",
    "CODE_CHALLENGE_NETWORK": "10000/10minutes",
    "CODE_CHALLENGE_PREFIX": "10000/hour",
    "CODE_CHALLENGE_GLOBAL": "10000/minute",
    "CODE_CHALLENGE_CONVERSION": "0",
    "CODE_WRONG_ADDRESS": "10000/hour",
    "CODE_WRONG_NETWORK": "10000/hour",
    "SIGN_IN_LIMIT_ADDRESS": "10000/hour",
    "SIGN_IN_LIMIT_NETWORK": "10000/hour",
}
EVERY_ADDRESS = ""  # a service may listen on all of them


def user_settings(root: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the environment, and what `.env` adds to it; a variable set to nothing counts not."""
    from_file = dotenv_values(root / ".env")
    given = {name: value for name, value in from_file.items() if value}
    return given | {name: value for name, value in environment.items() if value}


def simulated(settings: Settings) -> bool:
    """Tell whether the local simulator stands in for Yunpian."""
    return "YUNPIAN_BASE_URL" not in settings


def choose_ports(
    settings: Settings, free: Callable[[int], bool] = lambda port: is_free(port, EVERY_ADDRESS)
) -> Settings:
    """Return the services' ports; `LocalError` where one that people count on is in use.

    The gateway's port and those the user set are taken as they are, the others may move on.
    """
    wanted = {name: default for name, default in PORTS.items() if _needed(name, settings)}
    ports = {
        name: _fixed_port(name, settings.get(name, str(default)), free)
        for name, default in wanted.items()
        if name in settings or name == "GATEWAY_PORT"
    }
    for name, default in wanted.items():
        if name not in ports:
            taken = set(ports.values())
            after = range(default, LAST_PORT + 1)
            ports[name] = next(port for port in after if port not in taken and free(port))
    return {name: str(port) for name, port in ports.items()}


def _needed(name: str, settings: Settings) -> bool:
    return name != "SIMULATOR_PORT" or simulated(settings)


def _fixed_port(name: str, value: str, free: Callable[[int], bool]) -> int:
    if not value.isdecimal() or not 0 < int(value) <= LAST_PORT:
        raise LocalError(f"{name} takes a port number, 1 to {LAST_PORT}, not {value!r}")
    if not free(int(value)):
        raise LocalError(f"port {value} is in use: free it, or set {name} to another one")
    return int(value)


def complete(settings: Settings, ports: Settings, urls: Settings, run: Path) -> Settings:
    """Return the environment of the services: `settings` with a default for all that is unset."""
    defaults = {
        "CODE_SECRET": read_or_create(run / "code_secret", lambda: secrets.token_hex(32)),
        "MESSAGE_SECRET": read_or_create(run / "message_secret", lambda: secrets.token_hex(32)),
        "YUNPIAN_CALLBACK_SECRET": read_or_create(run / "callback_secret", lambda: secrets.token_hex(16)),
        "SIGNING_KEYS_DIR": str(run / "keys"),
        "AUTH_URL": f"http://127.0.0.1:{ports['AUTH_PORT']}",
        "SMS_URL": f"http://127.0.0.1:{ports['SMS_PORT']}",
        "YUNPIAN_API_KEY": "0123456789abcdef" * 2,  # any will do for the simulator
        "SMS_SIGNATURE": "Dialpass",
        "CORS_ORIGINS": "http://localhost:3000",
        "LOG_FORMAT": "console",
        **NO_SUSPICION,
        "DRAIN_DELAY": "0",  # no load balancer has to notice
        "PYTHONUNBUFFERED": "1",
    }
    complete = defaults | settings | ports | urls
    if simulated(settings):
        complete = _simulator(complete) | complete
    return complete


def _simulator(settings: Settings) -> Settings:
    """Return what points the worker and the simulator at each other."""
    yunpian = {"YUNPIAN_BASE_URL": f"http://127.0.0.1:{settings['SIMULATOR_PORT']}"}
    if settings.get("SMS_REPORTS", "push") != "push":
        return yunpian
    secret = settings["YUNPIAN_CALLBACK_SECRET"].partition(",")[0]
    gateway = f"http://127.0.0.1:{settings['GATEWAY_PORT']}"
    return yunpian | {"SIMULATOR_CALLBACK_URL": f"{gateway}/callbacks/yunpian/{secret}/"}
