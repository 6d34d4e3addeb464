"""What the log says about who was refused, and about settings that are too weak."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.servers import Servers
from services.auth.keyed_hash import KeyedHash
from shared.http import gateway_secret
from tests.support.client import Api, Reply, eventually, new_mobile
from tests.support.system import CODE_SECRET, GATEWAY_SECRET, Process, make_system

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def process(servers: Servers, mysql_url: str, tmp_path: Path) -> Iterator[Process]:
    """The auth service with one failure for an account."""
    process = make_system(servers, mysql_url, tmp_path, SIGN_IN_LIMIT_ACCOUNT="1/hour").auth
    process.start()
    yield process
    process.stop()


@pytest.fixture
def auth(session: aiohttp.ClientSession, process: Process) -> Api:
    return Api(session, f"http://127.0.0.1:{process.env['AUTH_PORT']}")


def lines(process: Process, event: str) -> list[dict[str, Any]]:
    """Return the log lines of an event."""
    logged = map(json.loads, process.log.read_text().splitlines())
    return [line for line in logged if line["event"] == event]


async def guess(auth: Api, mobile: str, address: str, request_id: str) -> Reply:
    headers = {
        gateway_secret.HEADER: GATEWAY_SECRET,
        "X-Forwarded-For": address,
        "X-Request-ID": request_id,
    }
    return await auth.post("/login/", {"mobile": mobile, "password": "wrong horse"}, headers=headers)


async def test_a_refused_client_can_be_followed_through_the_log(auth: Api, process: Process) -> None:
    mobile = new_mobile()
    statuses = [(await guess(auth, mobile, HOME, f"r{n}")).status for n in range(3)]
    assert statuses == [400, 400, 429]
    await guess(auth, new_mobile(), ELSEWHERE, "other")
    await guess(auth, new_mobile(), f"::ffff:{HOME}", "same")
    await eventually(lambda: len(lines(process, "request")) == 5)
    clients = {line["request_id"]: line["client"] for line in lines(process, "request")}
    assert clients["r0"] == clients["r2"] == clients["same"] == KeyedHash(CODE_SECRET).client(HOME)
    assert clients["other"] != clients["r0"]
    assert all(re.fullmatch(r"[0-9a-f]{12}", client) for client in clients.values())
    [refusal] = lines(process, "attempt_throttled")
    assert (refusal["client"], refusal["request_id"]) == (clients["r0"], "r2")
    assert refusal["subject"] == "account"
    assert not any(part in process.log.read_text() for part in (HOME, ELSEWHERE, mobile))


def test_a_low_cost_of_bcrypt_is_a_warning_at_the_start(process: Process) -> None:
    [warning] = lines(process, "weak_setting")
    assert (warning["level"], warning["setting"], warning["value"]) == ("warning", "BCRYPT_ROUNDS", 4)
