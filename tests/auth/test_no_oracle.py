"""Whether a number has an account shows neither in an answer nor in the work that the answer takes.

Timings are not compared: what takes time is, which is every statement, command and hash, in order.
"""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from deploy.local.environment import RELAXED_LIMITS
from deploy.local.ports import free_port
from deploy.local.servers import Servers
from services.auth.app import build
from services.auth.db.database import Database
from services.auth.passwords.hasher import PasswordHasher
from services.auth.settings import AuthSettings
from shared.redis.scripts import Argument, RedisScripts, Script
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, Reply, new_mobile
from tests.support.system import MESSAGE_SECRET, run

Steps = dict[str, list[str]]


class Watch:
    """Notes the steps that each request makes the process do, by the request's id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: Steps = defaultdict(list)
        self._monkeypatch = monkeypatch

    def note(self, step: str) -> None:
        if request_id := structlog.contextvars.get_contextvars().get("request_id"):
            self.steps[request_id].append(step)

    def method(self, owner: type, name: str, step: Callable[..., str]) -> None:
        original = getattr(owner, name)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self.note(step(*args, **kwargs))
            return await original(*args, **kwargs)

        self._monkeypatch.setattr(owner, name, watched)

    def scripts(self) -> None:
        register = RedisScripts.register

        def register_watched(scripts: RedisScripts, text: str) -> Script:
            script = register(scripts, text)

            async def watched(keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
                self.note(f"script {text}")
                return await script(keys, arguments)

            return watched

        self._monkeypatch.setattr(RedisScripts, "register", register_watched)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    watch = Watch(monkeypatch)
    for name in ("fetch_one", "fetch_all"):
        watch.method(Database, name, lambda _, sql, *_rest: sql)
    for name in ("insert", "update"):
        watch.method(Database, name, lambda database, query: database.compile(query))
    watch.method(
        Redis, "execute_command", lambda _, *command, **_options: f"{command[0]} {str(command[1])[:40]}"
    )
    watch.method(Pipeline, "execute", lambda pipeline, **_: f"pipeline of {len(pipeline.command_stack)}")
    for name in ("hash", "verify"):
        watch.method(PasswordHasher, name, lambda *_: "bcrypt")
    watch.scripts()
    return watch.steps


@pytest.fixture
async def auth(
    steps: Steps, servers: Servers, mysql_url: str, session: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Api]:
    """The auth service inside the test's own process."""
    run("services.auth", "key", "create", env={"SIGNING_KEYS_DIR": str(tmp_path)})
    environment = RELAXED_LIMITS | {
        "MYSQL_URL": mysql_url,
        "REDIS_URL": servers.redis.url,
        "AMQP_URL": servers.rabbitmq.url,
        "CODE_SECRET": secrets.token_hex(32),
        "MESSAGE_SECRET": MESSAGE_SECRET,
        "SIGNING_KEYS_DIR": str(tmp_path),
        "AUTH_PORT": str(free_port()),
        "BCRYPT_ROUNDS": "4",
    }
    settings = AuthSettings.model_validate({name.lower(): value for name, value in environment.items()})
    async with AsyncExitStack() as stack:
        service = await build(settings, stack)
        yield Api(session, f"http://127.0.0.1:{settings.auth_port}")
        await service.stop_intake()


@pytest.fixture
async def member(database: Database) -> str:
    """A number with an account."""
    mobile = new_mobile()
    await store_account(database, mobile)
    return mobile


REQUESTS = {
    "a code to register": ("/code/", {"purpose": "register"}),
    "a code to sign in": ("/code/", {"purpose": "login"}),
    "a code to reset": ("/code/", {"purpose": "reset"}),
    "a wrong code to register": ("/register/", {"code": "000000", "password": PASSWORD}),
    "a wrong password": ("/login/", {"password": "wrong horse"}),
    "a wrong code to sign in": ("/login/code/", {"code": "000000"}),
    "a wrong code to reset": ("/password/reset/", {"code": "000000", "password": PASSWORD}),
}


def face(reply: Reply) -> tuple[int, list[str], dict[str, Any]]:
    """Return what a client sees, but for the ids that every answer has of its own."""
    body = {name: value for name, value in reply.body.items() if name not in {"request_id", "message_id"}}
    return reply.status, sorted(reply.headers), body


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_request_is_answered_alike_after_the_same_steps(
    auth: Api, steps: Steps, member: str, request_: str
) -> None:
    path, members = REQUESTS[request_]

    async def ask(mobile: str, request_id: str) -> Reply:
        body = {"mobile": mobile, **members}
        return await auth.post(path, body, headers={"X-Request-ID": request_id})

    await ask(new_mobile(), "first")  # loads scripts
    replies = [await ask(member, "member"), await ask(new_mobile(), "stranger")]
    assert face(replies[0]) == face(replies[1])
    assert steps["member"] == steps["stranger"] != []


@pytest.mark.parametrize("path", ["/login/", "/login/code/", "/password/reset/"])
async def test_a_throttled_request_is_answered_alike_after_the_same_steps(
    auth: Api, steps: Steps, member: str, path: str
) -> None:
    seen = []
    for mobile in (member, new_mobile()):
        body = {"mobile": mobile, "password": "wrong horse", "code": "000000"}
        statuses, taken = [], []
        for number in range(12):
            request_id = f"{mobile}-{number}"
            reply = await auth.post(path, body, headers={"X-Request-ID": request_id})
            statuses.append(reply.status)
            taken.append(len(steps[request_id]))
        seen.append((statuses, taken[1:]))  # the very first one loads scripts
    assert seen[0] == seen[1]
