"""The compose file has no secret in it, gives each service its own, and opens nothing to other machines."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
REQUIRED = set(re.findall(r"\$\{([A-Z0-9_]+):\?run deploy/secrets\.sh\}", COMPOSE))
SECRETS = {
    "gateway": {"GATEWAY_SECRET"},
    "auth": {
        "GATEWAY_SECRET", "CODE_SECRET", "MESSAGE_SECRET", "MARIADB_PASSWORD", "REDIS_PASSWORD",
        "RABBITMQ_AUTH_PASSWORD",
    },
    "sms": {
        "MESSAGE_SECRET", "REDIS_PASSWORD", "RABBITMQ_SMS_PASSWORD", "YUNPIAN_API_KEY",
        "YUNPIAN_CALLBACK_SECRET",
    },
    "migrate": {"MARIADB_PASSWORD"},
    "keys": set(),
    "simulator": {"YUNPIAN_API_KEY", "YUNPIAN_CALLBACK_SECRET"},
    "mariadb": {"MARIADB_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "rabbitmq": {name for name in REQUIRED if name.startswith("RABBITMQ_")},
}  # fmt: skip


@pytest.mark.parametrize("service", SECRETS)
def test_a_service_gets_only_the_secrets_that_it_needs(service: str) -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", json.dumps(SERVICES[service])))
    assert used & REQUIRED == SECRETS[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_is_published_to_this_machine_only(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert port.startswith(("127.0.0.1:", "${PUBLISH_ADDRESS:-127.0.0.1}:")), port


def test_no_secret_has_a_default() -> None:
    secret = re.compile(r"\$\{([A-Z0-9_]*(?:SECRET|PASSWORD|API_KEY)):-")
    assert secret.findall(COMPOSE) == []
    assert "development-only" not in COMPOSE


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path / "deploy")
    return tmp_path


def make_secrets(checkout: Path) -> dict[str, str]:
    subprocess.run([checkout / "deploy" / "secrets.sh"], check=True, capture_output=True)
    lines = (checkout / ".env").read_text().splitlines()
    pairs = [line.partition("=")[::2] for line in lines if line and not line.startswith("#")]
    assert len(pairs) == len({name for name, _ in pairs})
    return dict(pairs)


def test_the_script_makes_every_secret_that_the_file_needs_once(checkout: Path) -> None:
    made = make_secrets(checkout)
    assert set(made) == REQUIRED
    assert all(re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", value) for value in made.values())
    assert len(set(made.values())) == len(made)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    assert make_secrets(checkout) == made


def test_the_script_keeps_what_is_there_and_takes_over_the_secrets_of_make_run(checkout: Path) -> None:
    (checkout / ".env").write_text(
        "#MESSAGE_SECRET=\nCODE_SECRET=mine\nYUNPIAN_BASE_URL=https://sms.yunpian.com"
    )
    (checkout / ".run").mkdir()
    (checkout / ".run" / "message_secret").write_text("of make run")
    made = make_secrets(checkout)
    assert (made["CODE_SECRET"], made["MESSAGE_SECRET"]) == ("mine", "of make run")
    assert "YUNPIAN_API_KEY" not in made


def test_the_brokers_users_get_their_passwords_in_the_container(tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "rabbitmq"
    script = (folder / "start.sh").read_text().replace("/etc/rabbitmq", str(tmp_path))
    script = script.replace("/opt/dialpass", str(folder)).replace("chown rabbitmq", "true")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "docker-entrypoint.sh").write_text("#!/bin/sh\n")
    (tmp_path / "docker-entrypoint.sh").chmod(0o755)
    names = set(SERVICES["rabbitmq"]["environment"]) - {"RABBITMQ_DEFAULT_USER"}
    passwords = {name: f"of-{name.lower()}" for name in names}
    subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin", **passwords}, check=True, timeout=10
    )
    users = json.loads((tmp_path / "definitions.json").read_text())["users"]
    assert {user["name"]: user["password"] for user in users} == {
        "dialpass": "of-rabbitmq_default_pass",
        "auth": "of-auth_password",
        "sms": "of-sms_password",
        "events": "of-events_password",
        "monitor": "of-monitor_password",
    }
