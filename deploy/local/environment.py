"""The settings of a one-machine run: the user's, with defaults for the rest; each service gets its own."""

import importlib
import inspect
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values
from pydantic_settings import BaseSettings

from deploy.local.errors import LocalError
from deploy.local.files import read_or_create
from deploy.local.ports import is_free
from deploy.local.private import TEMPORARY_VARIABLES

Settings = dict[str, str]

# The settings of each process of a run.
PROCESSES = {
    "gateway": ("services.gateway.settings", "GatewaySettings"),
    "auth": ("services.auth.settings", "AuthSettings"),
    "sms": ("services.sms.settings", "SmsSettings"),
    "simulator": ("deploy.local.simulator.settings", "SimulatorSettings"),
}
# Of the compose file, which reads the same `.env`.
COMPOSE_PASSWORDS = {
    "MARIADB_PASSWORD",
    "REDIS_PASSWORD",
    "RABBITMQ_PASSWORD",
    "RABBITMQ_AUTH_PASSWORD",
    "RABBITMQ_SMS_PASSWORD",
    "RABBITMQ_EVENTS_PASSWORD",
    "RABBITMQ_MONITOR_PASSWORD",
}
LOOPBACK = "localhost"

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
    "CODE_LIMIT_ADDRESS": "10000/10minutes",
    "CODE_LIMIT_NETWORK": "10000/10minutes",
    "CODE_LIMIT_PREFIX": "10000/hour",
    "CODE_LIMIT_CONVERSION": "0",
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
    settings: Settings,
    free: Callable[[int], bool] = lambda port: is_free(port, ALL_ADDRESSES),
    take: Callable[[int], bool] = lambda _: True,
) -> Settings:
    """Return the ports of the services.

    The gateway's port and those that the user set are fixed; the others move to the next free one.

    Args:
        settings: the user's.
        free: returns whether nothing listens on a port.
        take: claims a port that may move for this run; returns whether it got it.

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
            ports[name] = next(port for port in after if port not in taken and free(port) and take(port))
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
        "GATEWAY_SECRET": read_or_create(run / "gateway_secret", lambda: secrets.token_hex(32)),
        "YUNPIAN_CALLBACK_SECRET": read_or_create(run / "callback_secret", lambda: secrets.token_hex(16)),
        "SIGNING_KEYS_DIR": str(run / "keys"),
        "AUTH_URL": f"http://127.0.0.1:{ports['AUTH_PORT']}",
        "SMS_URL": f"http://127.0.0.1:{ports['SMS_PORT']}",
        "SMS_SIGNATURE": "Dialpass",
        "CORS_ORIGINS": "http://localhost:3000",
        "LOG_FORMAT": "console",
        **RELAXED_LIMITS,
        "DRAIN_DELAY": "0",  # there is no load balancer
        "PYTHONUNBUFFERED": "1",
    }
    merged = defaults | settings | ports | urls | dict.fromkeys(TEMPORARY_VARIABLES, str(run / "tmp"))
    if uses_simulator(settings):
        # The simulator takes the key that the worker sends.
        api_key = read_or_create(run / "yunpian_api_key", lambda: secrets.token_hex(16))
        merged = {"YUNPIAN_API_KEY": api_key} | _simulator_settings(merged) | merged
    return merged


def for_process(name: str, settings: Settings, own: Settings | None = None) -> Settings:
    """Return the environment of one process: without the settings that only others have.

    The gateway alone can be opened to other machines, by the user's BIND_ADDRESS.

    Args:
        name: of `PROCESSES`.
        settings: those of all, from `service_settings`.
        own: the process's own values of some of them.
    """
    others = _all_settings() - _settings_of(name) | COMPOSE_PASSWORDS
    addresses = {"BIND_ADDRESS": LOOPBACK}
    if name == "gateway":
        addresses = {"BIND_ADDRESS": settings.get("BIND_ADDRESS", LOOPBACK)}
        addresses["GATEWAY_OPS_BIND_ADDRESS"] = settings.get("GATEWAY_OPS_BIND_ADDRESS", LOOPBACK)
    kept = {variable: value for variable, value in settings.items() if variable not in others}
    return kept | addresses | (own or {})


def for_commands(name: str, settings: Settings, own: Settings | None = None) -> Settings:
    """Return the variables that a service's commands read, and no others.

    Args:
        name: of `PROCESSES`.
        settings: those of all, from `service_settings`.
        own: the service's own values of some of them.
    """
    merged = settings | (own or {})
    module, _ = PROCESSES[name]
    known = {variable for found in _settings_classes(module) for variable in _variables(found)}
    return {variable: merged[variable] for variable in sorted(known & merged.keys())}


def _settings_of(name: str) -> set[str]:
    module, settings_class = PROCESSES[name]
    return _variables(getattr(importlib.import_module(module), settings_class))


@cache
def _all_settings() -> frozenset[str]:
    """Return the variables of all processes and of their commands."""
    return frozenset(
        variable
        for module, _ in PROCESSES.values()
        for settings_class in _settings_classes(module)
        for variable in _variables(settings_class)
    )


def _settings_classes(module: str) -> Iterator[type[BaseSettings]]:
    for _, member in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if issubclass(member, BaseSettings):
            yield member


def _variables(settings_class: type[BaseSettings]) -> set[str]:
    return {field.upper() for field in settings_class.model_fields}


def _simulator_settings(settings: Settings) -> Settings:
    """Return the URLs by which the worker and the simulator reach each other."""
    yunpian = {"YUNPIAN_BASE_URL": f"http://127.0.0.1:{settings['SIMULATOR_PORT']}"}
    if settings.get("SMS_REPORTS", "push") != "push":
        return yunpian
    secret = settings["YUNPIAN_CALLBACK_SECRET"].partition(",")[0]
    gateway = f"http://127.0.0.1:{settings['GATEWAY_PORT']}"
    return yunpian | {"SIMULATOR_CALLBACK_URL": f"{gateway}/callbacks/yunpian/{secret}/"}
