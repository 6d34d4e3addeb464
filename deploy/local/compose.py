"""The servers in containers, from the project's compose file."""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.local.errors import LocalError

COMPOSE_FILE = "docker-compose.yml"
SECRETS_SCRIPT = "deploy/secrets.sh"
CONTAINER_PORTS = {"mariadb": 3306, "redis": 6379, "rabbitmq": 5672}
HEALTH = "{{.State.Status}} {{.State.Health.Status}}"
HEALTHY = "running healthy"
COMMAND_TIMEOUT, START_TIMEOUT = 20, 600


class Compose:
    """The servers of a checkout's compose file.

    Uses only what the Compose plugin and its predecessor, docker-compose 1.29, have in common.
    """

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        self._root = root
        self.command = tuple(command)

    @classmethod
    def find(cls, root: Path) -> "Compose | None":
        """Return it if there are a compose file, a Compose command and a running engine, else None."""
        if not (root / COMPOSE_FILE).exists() or not _succeeds("docker", "info"):
            return None
        for command in (("docker", "compose"), ("docker-compose",)):
            if _succeeds(*command, "version"):
                return cls(root, command)
        return None

    def start(self, names: Sequence[str]) -> None:
        """Start the named servers and wait until they are healthy.

        The compose file's passwords are made first, if there are none.
        """
        if (self._root / SECRETS_SCRIPT).exists():
            _run((str(self._root / SECRETS_SCRIPT),), self._root)
        self._run("up", "--detach", *names, timeout=START_TIMEOUT)
        deadline = time.monotonic() + START_TIMEOUT
        for name in names:
            self._wait_healthy(name, deadline)

    def stop(self, names: Sequence[str]) -> None:
        """Stop the named servers; their volumes are kept."""
        self._run("stop", *names, timeout=START_TIMEOUT)

    def urls(self, names: Sequence[str]) -> dict[str, str]:
        """Return the URL of each started server on this machine."""
        services = yaml.safe_load(self._run("config"))["services"]
        return {name: url(name, services[name], self._published(name)) for name in names}

    def broker_urls(self, users: Sequence[str]) -> dict[str, str]:
        """Return the broker's URL for each user that the compose file has a password of."""
        variables = yaml.safe_load(self._run("config"))["services"]["rabbitmq"].get("environment") or {}
        port = self._published("rabbitmq")
        return {
            user: f"amqp://{user}:{password}@127.0.0.1:{port}/"
            for user in users
            if (password := variables.get(f"{user.upper()}_PASSWORD"))
        }

    def _wait_healthy(self, name: str, deadline: float) -> None:
        container = self._run("ps", "--quiet", name).strip()
        while (state := _run(("docker", "inspect", "--format", HEALTH, container)).strip()) != HEALTHY:
            if time.monotonic() > deadline or not state.startswith("running"):
                raise LocalError(f"{name} in Docker is {state}; see: docker logs {container[:12]}")
            time.sleep(0.5)

    def _published(self, name: str) -> int:
        shown = self._run("port", name, str(CONTAINER_PORTS[name])).strip()
        port = int(shown.rpartition(":")[2] or 0)
        if not port:
            raise LocalError(f"{COMPOSE_FILE} publishes no port of {name}")
        return port

    def _run(self, *arguments: str, timeout: int = COMMAND_TIMEOUT) -> str:
        return _run((*self.command, *arguments), self._root, timeout)


def url(name: str, service: Mapping[str, Any], port: int) -> str:
    """Return a server's URL, with the credentials of its container."""
    variables: Mapping[str, str] = service.get("environment") or {}
    if name == "redis":
        password = variables.get("REDIS_PASSWORD")
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{port}/0"
    if name == "rabbitmq":
        user = variables.get("RABBITMQ_DEFAULT_USER", "guest")
        return f"amqp://{user}:{variables.get('RABBITMQ_DEFAULT_PASS', 'guest')}@127.0.0.1:{port}/"
    values = [_credential(variables, key) for key in ("USER", "PASSWORD", "DATABASE")]
    return "mysql://{}:{}@127.0.0.1:{}/{}".format(*values[:2], port, values[2])


def _credential(variables: Mapping[str, str], key: str) -> str:
    for prefix in ("MARIADB", "MYSQL"):
        if f"{prefix}_{key}" in variables:
            return variables[f"{prefix}_{key}"]
    return "dialpass"


def _run(command: Sequence[str], root: Path | None = None, timeout: int = COMMAND_TIMEOUT) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise LocalError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _succeeds(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
