"""A provider that refuses all accounts: consumption pauses, says why, and resumes by itself."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from deploy.local.ports import free_port
from deploy.local.servers import Servers
from tests.support.client import Api, Phone, eventually, new_mobile
from tests.support.system import Process, System, http_status

TIMEOUT = 60


@pytest.fixture(autouse=True)
def _separate_circuits(servers: Servers) -> Iterator[None]:
    """All workers of a Redis share circuits, those of other tests too."""
    yield
    with Redis.from_url(servers.redis.url) as redis:
        for key in redis.keys("sms:halt:*"):
            redis.delete(key)


@pytest.fixture
async def workers(own_system: System, tmp_path: Path) -> AsyncIterator[list[Process]]:
    """The system's worker and another one."""
    port = str(free_port())
    env = own_system.env | {"SMS_PORT": port}
    probe = f"http://127.0.0.1:{port}/readyz"
    other = Process("services.sms", ["serve"], env, tmp_path / "other.log", probe)
    await asyncio.to_thread(other.start)
    yield [own_system.sms, other]
    assert await asyncio.to_thread(other.stop) == 0


async def set_account(phone: Phone, **terms: Any) -> dict[str, Any]:
    async with phone.session.put(f"{phone.url}/_account", json=terms) as response:
        account: dict[str, Any] = await response.json()
        return account


def paused(worker: Process) -> bool:
    with urllib.request.urlopen(worker.probe.replace("readyz", "metrics"), timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
    return next(f.samples[0].value for f in families if f.name == "dialpass_sms_breaker_open") == 1


def events(workers: list[Process], *names: str) -> list[tuple[str, str]]:
    lines = [json.loads(line) for worker in workers for line in worker.log.read_text().splitlines()]
    return [(line["event"], line.get("why", "")) for line in lines if line.get("event") in names]


async def ask(api: Api, count: int) -> dict[str, str]:
    """Ask for codes; returns their message ids by number."""
    mobiles = [new_mobile() for _ in range(count)]
    asked = [await api.post("/code/", {"mobile": mobile}) for mobile in mobiles]
    return {mobile: reply["message_id"] for mobile, reply in zip(mobiles, asked, strict=True)}


async def all_arrive_once(api: Api, phone: Phone, asked: dict[str, str]) -> None:
    for mobile, message_id in asked.items():
        await phone.code(mobile, seconds=TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            while (await api.get(f"/code/{message_id}/"))["status"] != "sent":  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.1)
    assert [len(await phone.texts(mobile)) for mobile in asked] == [1] * len(asked)


async def test_without_money_messages_wait_until_there_is_some(
    own_api: Api, own_phone: Phone, workers: list[Process]
) -> None:
    await set_account(own_phone, balance=0.0)
    asked = await ask(own_api, 5)

    await eventually(lambda: all(paused(worker) for worker in workers), TIMEOUT)

    asked |= await ask(own_api, 5)
    for worker in workers:
        assert http_status(worker.probe) == 200, "it is ready to consume"
        assert http_status(worker.probe.replace("readyz", "healthz")) == 200
        assert events([worker], "sending_paused")
    assert events(workers, "account_halted") == [("account_halted", "3 balance too low")]
    assert {(await own_api.get(f"/code/{number}/"))["status"] for number in asked.values()} == {"queued"}

    await set_account(own_phone, balance=100.0)

    await all_arrive_once(own_api, own_phone, asked)
    await eventually(lambda: not any(paused(worker) for worker in workers))
    assert events(workers, "account_resumed") == [("account_resumed", "")]


@pytest.mark.long
async def test_a_throttled_account_is_probed_with_single_messages(
    own_api: Api, own_phone: Phone, workers: list[Process]
) -> None:
    await own_phone.fault(fault="code", code=-5)
    asked = await ask(own_api, 20)
    await eventually(lambda: all(paused(worker) for worker in workers), TIMEOUT)
    before = (await set_account(own_phone))["answers"]["-5"]

    await asyncio.sleep(8)

    # Tried after one second, two, four: one message each time, by one of the workers.
    tried = (await set_account(own_phone))["answers"]["-5"] - before
    assert tried <= 4
    async with own_phone.session.delete(f"{own_phone.url}/_faults") as response:
        assert response.status == 204
    await all_arrive_once(own_api, own_phone, asked)
    assert events(workers, "account_resumed")
