"""The servers in containers, by a running Docker engine and the project's compose file."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalError

COMPOSE_FILE = "docker-compose.yml"
INNER_PORTS = {"mariadb": 3306, "redis": 6379, "rabbitmq": 5672}
QUICK, SLOW = 20, 600


class Compose:
    """The compose file of a checkout, as far as its servers go."""

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        self._root = root
        self._command = tuple(command)

    @classmethod
    def find(cls, root: Path) -> "Compose | None":
        """Return it where there is a compose file, the plugin or program, and an engine that runs."""
        if not (root / COMPOSE_FILE).exists() or not _succeeds("docker", "info"):
            return None
        for command in (("docker", "compose"), ("docker-compose",)):
            if _succeeds(*command, "version"):
                return cls(root, command)
        return None

    def start(self, names: Sequence[str]) -> None:
        """Start the named servers and wait until they are healthy."""
        self._run("up", "--detach", "--wait", *names, timeout=SLOW)

    def stop(self, names: Sequence[str]) -> None:
        """Stop them; their volumes stay."""
        self._run("stop", *names, timeout=SLOW)

    def urls(self, names: Sequence[str]) -> dict[str, str]:
        """Return the address of each started server as this machine reaches it."""
        services = json.loads(self._run("config", "--format", "json"))["services"]
        return {name: url(name, services[name], self._published(name)) for name in names}

    def _published(self, name: str) -> int:
        shown = self._run("port", name, str(INNER_PORTS[name])).strip()
        port = int(shown.rpartition(":")[2] or 0)
        if not port:
            raise LocalError(f"{COMPOSE_FILE} publishes no port of {name}")
        return port

    def _run(self, *arguments: str, timeout: int = QUICK) -> str:
        command = [*self._command, *arguments]
        done = subprocess.run(
            command, cwd=self._root, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise LocalError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
        return done.stdout


def url(name: str, service: Mapping[str, Any], port: int) -> str:
    """Return a server's address, with the credentials that its container is given."""
    given: Mapping[str, str] = service.get("environment") or {}
    if name == "redis":
        return f"redis://127.0.0.1:{port}/0"
    if name == "rabbitmq":
        user = given.get("RABBITMQ_DEFAULT_USER", "guest")
        return f"amqp://{user}:{given.get('RABBITMQ_DEFAULT_PASS', 'guest')}@127.0.0.1:{port}/"
    values = [_of_either(given, key) for key in ("USER", "PASSWORD", "DATABASE")]
    return "mysql://{}:{}@127.0.0.1:{}/{}".format(*values[:2], port, values[2])


def _of_either(given: Mapping[str, str], key: str) -> str:
    for prefix in ("MARIADB", "MYSQL"):
        if f"{prefix}_{key}" in given:
            return given[f"{prefix}_{key}"]
    return "dialpass"


def _succeeds(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    try:
        done = subprocess.run(command, capture_output=True, timeout=QUICK, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
