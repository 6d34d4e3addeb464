"""`.env.example` against the settings classes and the compose file."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[2]
MODULES = [
    "shared.settings",
    "deploy.local.simulator.settings",
    *(f"services.{path.parent.name}.settings" for path in sorted(ROOT.glob("services/*/settings.py"))),
]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
VARIABLE_LINE = re.compile(r"#?(?P<name>[A-Z][A-Z0-9_]*)=")
# With their defaults; those of `${NAME:?…}` have none.
USED_BY_COMPOSE = dict(re.findall(r"\$\{([A-Z0-9_]+):(?:-|\?[^}]*)([^}]*)\}", COMPOSE))
# Ports inside containers are fixed; published ports are not.
FIXED_IN_CONTAINERS = {"AUTH_PORT", "GATEWAY_PORT", "GATEWAY_OPS_PORT", "SMS_PORT", "SIMULATOR_PORT"}
NOT_SETTINGS = {"PYTHONPATH"}
CONTAINERS = {
    "gateway": ("services.gateway.settings", "GatewaySettings"),
    "auth": ("services.auth.settings", "AuthSettings"),
    "migrate": ("services.auth.settings", "MysqlSettings"),
    "keys": ("services.auth.settings", "KeySettings"),
    "sms": ("services.sms.settings", "SmsSettings"),
    "simulator": ("deploy.local.simulator.settings", "SimulatorSettings"),
}


def settings_classes() -> list[type[BaseSettings]]:
    return [
        member
        for module in map(importlib.import_module, MODULES)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseSettings) and member.__module__ == module.__name__
    ]


def line_for(name: str, field: FieldInfo) -> str:
    """Return the line of a variable: its default, empty if there is none, and its description."""
    return f"#{name}={shown(None if field.is_required() else field.default)}  # {field.description}"


def shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None or repr(default) == "PydanticUndefined" else str(default)


def known_lines() -> dict[str, set[str]]:
    """Return the possible lines of a variable, one for each class that has it."""
    lines: dict[str, set[str]] = {}
    for settings in settings_classes():
        for field_name, field in settings.model_fields.items():
            name = field_name.upper()
            lines.setdefault(name, set()).add(line_for(name, field))
    return lines


def example_lines() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [(match["name"], line) for line in lines if (match := VARIABLE_LINE.match(line))]
    assert len(found) == len(dict(found)), "a variable is listed twice"
    return dict(found)


def test_every_setting_is_listed_with_its_default_and_description() -> None:
    example = example_lines()
    wrong = {name: sorted(lines) for name, lines in known_lines().items() if example.get(name) not in lines}
    assert wrong == {}, "put these lines into .env.example"


def test_every_listed_variable_is_used() -> None:
    assert set(example_lines()) - set(known_lines()) - set(USED_BY_COMPOSE) == set()


@pytest.mark.parametrize("name", sorted(set(USED_BY_COMPOSE) - set(known_lines())))
def test_every_variable_of_the_compose_file_is_listed_with_its_default(name: str) -> None:
    assert example_lines()[name].startswith(f"#{name}={USED_BY_COMPOSE[name]}  # ")


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_compose_file_passes_exactly_the_settings_of_a_service(container: str) -> None:
    module, name = CONTAINERS[container]
    fields = getattr(importlib.import_module(module), name).model_fields
    environment = set(yaml.safe_load(COMPOSE)["services"][container]["environment"]) - NOT_SETTINGS
    takes = {field.upper() for field in fields}
    assert environment - takes == set(), "no such setting"
    if container not in {"migrate", "keys"}:  # these do not set lifecycle and logs
        assert takes - environment - FIXED_IN_CONTAINERS == set(), "cannot be set"
