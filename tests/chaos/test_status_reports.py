"""Status reports while a part of their way is missing, and what shows that messages wait."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local.ports import free_port
from deploy.local.servers import Servers
from tests.support.client import Api, Phone, new_mobile
from tests.support.system import Process, System, make_system

PULLING = {"SMS_REPORTS": "pull", "SMS_PULL_INTERVAL": "0.2", "SIMULATOR_CALLBACK_URL": ""}


@pytest.fixture
def start(servers: Servers, mysql_url: str, tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Starts a system whose texts are reported after a second, with settings of the test's own."""
    started: list[System] = []

    def start(**settings: str) -> System:
        system = make_system(
            servers,
            mysql_url,
            tmp_path,
            **{"SIMULATOR_REPORT_DELAY": "1", "SIMULATOR_PUSH_RETRY": "0.5", **settings},
        )
        started.append(system)
        system.start()
        return system

    yield start
    servers.redis.resume()
    for system in started:
        system.stop()


async def until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"never {what}"
        await asyncio.sleep(0.05)


async def ask(session: aiohttp.ClientSession, system: System) -> tuple[Api, str, str]:
    """Ask for a code and return its number and message."""
    api, mobile = Api(session, system.url), new_mobile()
    asked = await api.post("/code/", {"mobile": mobile})
    await Phone(session, system.simulator_url).code(mobile)
    return api, mobile, asked["message_id"]


async def ends(api: Api, message_id: str, wanted: str) -> None:
    async def holds() -> bool:
        reply = await api.get(f"/code/{message_id}/")
        return reply.status == 200 and bool(reply["status"] == wanted)

    await until(holds, wanted)


async def refused_pushes(session: aiohttp.ClientSession, system: System, status: int) -> bool:
    async with session.get(f"{system.simulator_url}/_pushes") as response:
        tries = await response.json()
    assert all(one["acknowledged"] == (one["status"] == 200) for one in tries)
    return any(one["status"] == status for one in tries)


async def test_a_report_is_not_acknowledged_without_redis_and_is_pushed_again(
    start: Callable[..., System], servers: Servers, own_session: aiohttp.ClientSession
) -> None:
    system = start()
    api, _, message_id = await ask(own_session, system)
    servers.redis.pause()
    try:
        await until(lambda: refused_pushes(own_session, system, 503), "refused")
    finally:
        servers.redis.resume()
    await ends(api, message_id, "delivered")


@pytest.mark.long
async def test_a_report_that_meets_no_worker_is_pushed_again(
    start: Callable[..., System], own_session: aiohttp.ClientSession
) -> None:
    system = start(SIMULATOR_PUSH_RETRY="8")
    api, _, message_id = await ask(own_session, system)
    assert await asyncio.to_thread(system.sms.stop) == 0
    await until(lambda: refused_pushes(own_session, system, 503), "refused")
    await asyncio.to_thread(system.sms.start)
    await ends(api, message_id, "delivered")


async def test_of_two_workers_one_pulls_and_the_other_takes_over(
    start: Callable[..., System], own_session: aiohttp.ClientSession
) -> None:
    system = start(**PULLING)
    port = str(free_port())
    second = Process(
        "services.sms",
        ["serve"],
        system.sms.env | {"SMS_PORT": port},
        system.sms.log.with_suffix(".second.log"),
        f"http://127.0.0.1:{port}/readyz",
    )
    second.start()
    try:
        api, _, message_id = await ask(own_session, system)
        await ends(api, message_id, "delivered")
        assert await asyncio.to_thread(system.sms.stop) == 0
        api, _, message_id = await ask(own_session, system)
        await ends(api, message_id, "delivered")
    finally:
        assert second.stop() == 0


async def test_a_push_is_answered_with_404_where_reports_are_pulled(
    start: Callable[..., System], own_session: aiohttp.ClientSession
) -> None:
    system = start(**PULLING)
    path = f"/callbacks/yunpian/{system.env['YUNPIAN_CALLBACK_SECRET']}/"
    assert (await Api(own_session, system.url).post(path, {})).status == 404


@pytest.mark.long
async def test_the_age_of_the_oldest_message_is_measured_while_nothing_is_sent(
    start: Callable[..., System], own_session: aiohttp.ClientSession
) -> None:
    system = start()
    phone = Phone(own_session, system.simulator_url)
    await phone.fault(fault="code", code=-3)
    await Api(own_session, system.url).post("/code/", {"mobile": new_mobile()})

    async def shown() -> bool:
        async with own_session.get(system.sms.probe.replace("/readyz", "/metrics")) as response:
            page = await response.text()
        age = re.search(r"^dialpass_sms_oldest_message_seconds (\S+)$", page, re.MULTILINE)
        waiting = re.findall(r'^dialpass_sms_queue_depth\{queue="sms\.\S+"\} (\S+)$', page, re.MULTILINE)
        return age is not None and float(age[1]) > 0 and sum(map(float, waiting)) > 0

    await until(shown, "shown", seconds=60)
