"""What the log says about who was refused, and about settings that are too weak."""

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from deploy.local.ports import free_port
from deploy.local.servers import Servers
from services.auth.app import build
from services.auth.keyed_hash import KeyedHash
from services.auth.settings import AuthSettings
from shared.observability import logs
from tests.support.client import Api, Reply, new_mobile
from tests.support.system import MESSAGE_SECRET, run

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"
SECRET = secrets.token_hex(32)
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _undo_configuration() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.fixture
async def auth(
    servers: Servers, mysql_url: str, session: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Api]:
    """The auth service inside the test's own process, with one failure for an account."""
    run("services.auth", "key", "create", env={"SIGNING_KEYS_DIR": str(tmp_path)})
    settings = AuthSettings.model_validate(
        {
            "mysql_url": mysql_url,
            "redis_url": servers.redis.url,
            "amqp_url": servers.rabbitmq.url,
            "code_secret": SECRET,
            "message_secret": MESSAGE_SECRET,
            "signing_keys_dir": tmp_path,
            "auth_port": free_port(),
            "bcrypt_rounds": 4,
            "sign_in_limit_account": "1/hour",
        }
    )
    logs.configure("auth", "json", "info")
    async with AsyncExitStack() as stack:
        service = await build(settings, stack)
        yield Api(session, f"http://127.0.0.1:{settings.auth_port}")
        await service.stop_intake()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return the lines that were logged since the last call."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def guess(auth: Api, mobile: str, address: str, request_id: str) -> Reply:
    headers = {"X-Forwarded-For": address, "X-Request-ID": request_id}
    return await auth.post("/login/", {"mobile": mobile, "password": "wrong horse"}, headers=headers)


async def test_a_refused_client_can_be_followed_through_the_log(auth: Api, lines: Lines) -> None:
    mobile = new_mobile()
    statuses = [(await guess(auth, mobile, HOME, f"r{n}")).status for n in range(3)]
    assert statuses == [400, 400, 429]
    await guess(auth, new_mobile(), ELSEWHERE, "other")
    await guess(auth, new_mobile(), f"::ffff:{HOME}", "same")
    await asyncio.sleep(0.1)  # lines are buffered for half that time
    logged = lines()
    requests = {line["request_id"]: line for line in logged if line["event"] == "request"}
    clients = {name: line["client"] for name, line in requests.items()}
    assert clients["r0"] == clients["r2"] == clients["same"] == KeyedHash(SECRET).client(HOME)
    assert clients["other"] != clients["r0"]
    assert all(re.fullmatch(r"[0-9a-f]{12}", client) for client in clients.values())
    [refusal] = [line for line in logged if line["event"] == "attempt_throttled"]
    assert (refusal["client"], refusal["subject"]) == (clients["r0"], "account")
    assert not any(part in json.dumps(logged) for part in (HOME, ELSEWHERE, mobile))


@pytest.mark.usefixtures("auth")
async def test_a_low_cost_of_bcrypt_is_a_warning_at_the_start(lines: Lines) -> None:
    [warning] = [line for line in lines() if line["event"] == "weak_setting"]
    assert (warning["level"], warning["setting"], warning["value"]) == ("warning", "BCRYPT_ROUNDS", 4)
