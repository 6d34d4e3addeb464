"""The settings of a one-machine run: the user's, with defaults for the rest."""

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
MAX_PORT = 65_535
# All requests of a one-machine run come from one address, and its few numbers are made up.
RELAXED_LIMITS = {
    "CODE_CHALLENGE_ADDRESS": "10000/10minutes",
    "CODE_CHALLENGE_NETWORK": "10000/10minutes",
    "CODE_CHALLENGE_PREFIX": "10000/hour",
    "CODE_CHALLENGE_GLOBAL": "10000/minute",
    "CODE_CHALLENGE_CONVERSION": "0",
    "CODE_WRONG_ADDRESS": "10000/hour",
    "CODE_WRONG_NETWORK": "10000/hour",
    "SIGN_IN_LIMIT_ADDRESS": "10000/hour",
    "SIGN_IN_LIMIT_NETWORK": "10000/hour",
    "SIGN_IN_CHECKS_ACCOUNT": "10000/hour",
    "SIGN_IN_CHECKS_ADDRESS": "1000000/hour",
    "CHECKS_IN_PROGRESS_ACCOUNT": "8",
    "CHECKS_IN_PROGRESS_ADDRESS": "10000",
}
ALL_ADDRESSES = ""  # services listen on all of them


def user_settings(root: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the environment merged over `.env`; empty variables count as unset."""
    from_file = dotenv_values(root / ".env")
    settings = {name: value for name, value in from_file.items() if value}
    return settings | {name: value for name, value in environment.items() if value}


def uses_simulator(settings: Settings) -> bool:
    """Return whether the run uses the simulator instead of Yunpian."""
    return "YUNPIAN_BASE_URL" not in settings


def choose_ports(
    settings: Settings, free: Callable[[int], bool] = lambda port: is_free(port, ALL_ADDRESSES)
) -> Settings:
    """Return the ports of the services.

    The gateway's port and those that the user set are fixed; the others move to the next free one.

    Raises:
        LocalError: a fixed port is in use or malformed.
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
            after = range(default, MAX_PORT + 1)
            ports[name] = next(port for port in after if port not in taken and free(port))
    return {name: str(port) for name, port in ports.items()}


def _needed(name: str, settings: Settings) -> bool:
    return name != "SIMULATOR_PORT" or uses_simulator(settings)


def _fixed_port(name: str, value: str, free: Callable[[int], bool]) -> int:
    if not value.isdecimal() or not 0 < int(value) <= MAX_PORT:
        raise LocalError(f"{name} takes a port number, 1 to {MAX_PORT}, not {value!r}")
    if not free(int(value)):
        raise LocalError(f"port {value} is in use: free it, or set {name} to another one")
    return int(value)


def service_settings(settings: Settings, ports: Settings, urls: Settings, run: Path) -> Settings:
    """Return the environment of the services: `settings` with defaults for unset variables."""
    defaults = {
        "CODE_SECRET": read_or_create(run / "code_secret", lambda: secrets.token_hex(32)),
        "MESSAGE_SECRET": read_or_create(run / "message_secret", lambda: secrets.token_hex(32)),
        "YUNPIAN_CALLBACK_SECRET": read_or_create(run / "callback_secret", lambda: secrets.token_hex(16)),
        "SIGNING_KEYS_DIR": str(run / "keys"),
        "AUTH_URL": f"http://127.0.0.1:{ports['AUTH_PORT']}",
        "SMS_URL": f"http://127.0.0.1:{ports['SMS_PORT']}",
        "YUNPIAN_API_KEY": "0123456789abcdef" * 2,  # the simulator takes this one
        "SMS_SIGNATURE": "Dialpass",
        "CORS_ORIGINS": "http://localhost:3000",
        "LOG_FORMAT": "console",
        **RELAXED_LIMITS,
        "DRAIN_DELAY": "0",  # there is no load balancer
        "PYTHONUNBUFFERED": "1",
    }
    merged = defaults | settings | ports | urls
    if uses_simulator(settings):
        merged = _simulator_settings(merged) | merged
    return merged


def _simulator_settings(settings: Settings) -> Settings:
    """Return the URLs by which the worker and the simulator reach each other."""
    yunpian = {"YUNPIAN_BASE_URL": f"http://127.0.0.1:{settings['SIMULATOR_PORT']}"}
    if settings.get("SMS_REPORTS", "push") != "push":
        return yunpian
    secret = settings["YUNPIAN_CALLBACK_SECRET"].partition(",")[0]
    gateway = f"http://127.0.0.1:{settings['GATEWAY_PORT']}"
    return yunpian | {"SIMULATOR_CALLBACK_URL": f"{gateway}/callbacks/yunpian/{secret}/"}
