"""The compose file in a real Docker engine, from nothing to a passed sign-up.

Not among the tests of every change: `make containers` runs it where an engine answers.
"""

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.compose import Compose
from deploy.local.ports import free_ports
from tests.support.client import Api, Phone, new_mobile, sign_up

ROOT = Path(__file__).parents[2]
PORTS = ("GATEWAY_PORT", "SIMULATOR_PORT", "MARIADB_PORT", "REDIS_PORT", "RABBITMQ_PORT")
# What deploy/secrets.sh makes, for these containers alone.
SECRETS = re.findall(r"\$\{([A-Z0-9_]+):\?", (ROOT / "docker-compose.yml").read_text())
OURS = ("gateway", "auth", "sms", "simulator")
ADDED_MEGABYTES = 78  # python:3.13-slim has 120, and 200 is the limit
PASSWORD = "correct horse 电池"
UP = ("up", "--build", "--detach", "--scale", "sms=3")

pytestmark = pytest.mark.timeout(900)


def docker(*command: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()


class Stack:
    """The project's containers, under a name and on ports of their own."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.ports = {name: str(port) for name, port in free_ports(PORTS).items()}
        made = {name: secrets.token_hex(32) for name in SECRETS} | {"YUNPIAN_API_KEY": secrets.token_hex(16)}
        self._env = os.environ | self.ports | made | {"COMPOSE_PROJECT_NAME": "dialpass-test"}
        self._command = command

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--all", "--quiet", service).split()

    def state(self, service: str) -> dict[str, Any]:
        return dict(inspect(self.containers(service)[0])["State"])

    def wait_healthy(self, service: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        for container in self.containers(service):
            while (health := inspect(container)["State"]["Health"]["Status"]) != "healthy":
                assert time.monotonic() < deadline, f"{service} is {health}"
                time.sleep(0.5)

    def up(self) -> None:
        self.compose(*UP)
        for service in OURS:
            self.wait_healthy(service)


def inspect(name: str) -> dict[str, Any]:
    return dict(json.loads(docker("inspect", name))[0])


@pytest.fixture(scope="module", name="stack")
def _stack() -> Iterator[Stack]:
    found = Compose.find(ROOT)
    assert found is not None, "no Docker engine answers, or there is no docker compose"
    stack = Stack(found.command)
    stack.compose("down", "--volumes")
    stack.up()
    yield stack
    stack.compose("down", "--volumes", "--rmi", "local")


@pytest.fixture(name="session")
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture(name="api")
def _api(stack: Stack, session: aiohttp.ClientSession) -> Api:
    return Api(session, f"http://localhost:{stack.ports['GATEWAY_PORT']}")


@pytest.fixture(name="phone")
def _phone(stack: Stack, session: aiohttp.ClientSession) -> Phone:
    return Phone(session, f"http://localhost:{stack.ports['SIMULATOR_PORT']}")


async def test_a_user_signs_up_and_in(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    user_id = await sign_up(api, phone, mobile, PASSWORD)
    signed_in = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    me = await api.get("/me/", token=signed_in["token"])
    assert (me.status, me["id"], me["mobile"]) == (200, user_id, mobile)


def test_there_are_as_many_workers_as_asked_for(stack: Stack) -> None:
    assert len(stack.containers("sms")) == 3


def test_each_starts_after_what_it_needs(stack: Stack) -> None:
    def at(service: str, moment: str) -> datetime:
        return datetime.fromisoformat(stack.state(service)[moment][:26].rstrip("Z"))

    assert stack.state("migrate")["ExitCode"] == 0
    assert at("mariadb", "StartedAt") < at("migrate", "StartedAt")
    assert at("migrate", "FinishedAt") < at("auth", "StartedAt")
    assert at("keys", "FinishedAt") < at("auth", "StartedAt") < at("gateway", "StartedAt")
    assert all(at(server, "StartedAt") < at("sms", "StartedAt") for server in ("redis", "rabbitmq"))


@pytest.mark.parametrize("service", OURS)
def test_no_process_has_a_right_to_spare(stack: Stack, service: str) -> None:
    container = stack.containers(service)[0]
    status = docker("exec", container, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert docker("exec", container, "id", "-u") == "10001"
    assert facts["Uid"].split() == ["10001"] * 4
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    for folder in ("/", "/app", "/venv", "/tmp"):
        assert docker("exec", container, "sh", "-c", f"touch {folder}/x 2>&1 || true").endswith(
            "Read-only file system"
        )


def test_the_image_is_small_and_holds_no_tools(stack: Stack) -> None:
    image = inspect(stack.containers("auth")[0])["Image"]
    base = os.environ.get("PYTHON_IMAGE", "python:3.13-slim")
    added = (inspect(image)["Size"] - inspect(base)["Size"]) / 1e6
    inside = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "ls /venv/bin; command -v cc ld; true")
    assert not {"pip", "cc", "ld"} & {Path(line).name for line in inside.splitlines()}
    content = docker("run", "--rm", "--entrypoint", "ls", image, "/app")
    assert content.split() == ["services", "shared"]
    assert added < ADDED_MEGABYTES, f"{added:.0f} MB on top of {base}"


def test_the_image_can_still_show_a_traceback(stack: Stack) -> None:
    image = inspect(stack.containers("auth")[0])["Image"]
    program = (
        "from shared.observability import logs; import structlog; logs.configure('auth', 'console', 'info')\n"
        "try: 1 / 0\nexcept Exception: structlog.get_logger().exception('broken')"
    )
    shown = docker("run", "--rm", "--entrypoint", "python", image, "-c", program)
    assert "ZeroDivisionError" in shown


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"]
)
async def test_the_image_has_every_file_of_the_pages(
    session: aiohttp.ClientSession, stack: Stack, path: str
) -> None:
    url = f"http://localhost:{stack.ports['GATEWAY_PORT']}{path}"
    async with session.get(url) as answer:
        assert (answer.status, bool(await answer.read())) == (200, True)


async def test_users_and_keys_outlive_the_containers(stack: Stack, api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    before = await api.get("/.well-known/jwks.json")
    stack.compose("down")
    stack.up()
    after = await api.get("/.well-known/jwks.json")
    assert after.body == before.body
    assert (await api.post("/login/", {"mobile": mobile, "password": PASSWORD})).status == 200


@pytest.mark.parametrize("service", OURS)
def test_sigterm_ends_a_process_by_itself(stack: Stack, service: str) -> None:
    container = stack.containers(service)[0]
    docker("stop", "--time", "60", container)
    state = inspect(container)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
