"""Servers that stop, hang and come back, under a system that is never restarted."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable

import pytest

from deploy.local.server import Server
from deploy.local.servers import Servers
from tests.support.client import Api, Phone, Reply, new_mobile, sign_up
from tests.support.system import System

PASSWORD = "correct horse 电池"
BACK_WITHIN = 10


async def until(attempt: Callable[[], Awaitable[Reply]], status: int, seconds: float) -> Reply:
    """Repeat a request until it has a status."""
    deadline = time.monotonic() + seconds
    while (reply := await attempt()).status != status:
        assert time.monotonic() < deadline, f"still {reply.status} after {seconds} s: {reply.body}"
        await asyncio.sleep(0.1)
    return reply


def readiness(system: System) -> dict[str, str]:
    try:
        with urllib.request.urlopen(system.auth.probe, timeout=5) as response:
            checks: dict[str, str] = json.load(response)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            checks = json.load(error)["checks"]
    return checks


def metric(system: System, name: str) -> float:
    """Return what the auth service counts under a name, with its labels if it has some."""
    with urllib.request.urlopen(system.auth.probe.replace("readyz", "metrics"), timeout=5) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def stop(server: Server) -> None:
    server.stop()


def hang(server: Server) -> None:
    server.pause()


def bring_back(server: Server) -> None:
    server.resume()
    server.start()


async def quick_503(reply: Awaitable[Reply], seconds: float) -> Reply:
    """Assert that a request is answered 503 with Retry-After in time."""
    async with asyncio.timeout(seconds):
        answered = await reply
    assert answered.status == 503, answered.body
    assert int(answered.headers["Retry-After"]) >= 1
    return answered


@pytest.mark.parametrize("breaking", [stop, hang])
async def test_without_the_broker_a_code_is_503_and_takes_no_cooldown(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone, breaking: Callable[[Server], None]
) -> None:
    mobile = new_mobile()
    await asyncio.to_thread(breaking, servers.rabbitmq)
    for _ in range(2):
        reply = await quick_503(own_api.post("/code/", {"mobile": mobile}), 3)
        assert reply["type"] == "/problems/sms-unavailable"
    assert (await own_api.post("/login/", {"mobile": mobile, "password": PASSWORD})).status == 400
    await asyncio.to_thread(bring_back, servers.rabbitmq)
    await until(lambda: own_api.post("/code/", {"mobile": mobile}), 200, BACK_WITHIN)
    await own_phone.code(mobile, seconds=BACK_WITHIN)
    assert "rabbitmq" in readiness(own_system)


async def test_a_stopped_broker_is_named_while_the_service_stays_ready(
    servers: Servers, own_system: System
) -> None:
    await asyncio.to_thread(servers.rabbitmq.stop)
    deadline = time.monotonic() + 5
    while readiness(own_system)["rabbitmq"] == "ok":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert readiness(own_system)["mysql"] == "ok"
    own_system.auth.wait_for(200)


@pytest.mark.parametrize("breaking", [stop, hang])
async def test_without_redis_codes_are_503_and_signing_in_goes_on(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone, breaking: Callable[[Server], None]
) -> None:
    member, newcomer = new_mobile(), new_mobile()
    await sign_up(own_api, own_phone, member, PASSWORD)
    await asyncio.to_thread(breaking, servers.redis)
    await quick_503(own_api.post("/code/", {"mobile": newcomer}), 5)
    body = {"mobile": newcomer, "code": "123456", "password": PASSWORD}
    await quick_503(own_api.post("/register/", body), 5)
    assert (await own_api.post("/login/", {"mobile": member, "password": PASSWORD})).status == 200
    wrong = await own_api.post("/login/", {"mobile": member, "password": "wrong horse"})
    assert wrong["non_field_errors"] == ["Wrong credentials"]
    assert metric(own_system, "dialpass_sign_ins_unthrottled_total") == 2
    await asyncio.to_thread(own_system.auth.wait_for, 503)
    assert readiness(own_system)["redis"] != "ok"
    await asyncio.to_thread(bring_back, servers.redis)
    await asyncio.to_thread(own_system.auth.wait_for, 200)
    # Another number: a hung Redis may still have taken the first one's cooldown when it woke up.
    mobile = new_mobile()
    await until(lambda: own_api.post("/code/", {"mobile": mobile}), 200, BACK_WITHIN)
    await own_phone.code(mobile, seconds=BACK_WITHIN)


@pytest.mark.parametrize("breaking", [stop, hang])
async def test_without_the_database_a_code_is_not_used_up(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone, breaking: Callable[[Server], None]
) -> None:
    mobile = new_mobile()
    await own_api.post("/code/", {"mobile": mobile})
    code = await own_phone.code(mobile)
    await asyncio.to_thread(breaking, servers.mariadb)
    body = {"mobile": mobile, "code": code, "password": PASSWORD}
    await quick_503(own_api.post("/register/", body), 5)
    await quick_503(own_api.post("/login/", {"mobile": mobile, "password": PASSWORD}), 5)
    await asyncio.to_thread(own_system.auth.wait_for, 503)
    assert readiness(own_system)["mysql"] != "ok"
    assert metric(own_system, 'dialpass_dependency_failures_total{dependency="mysql"}') > 0
    await asyncio.to_thread(bring_back, servers.mariadb)
    await asyncio.to_thread(own_system.auth.wait_for, 200)
    registered = await own_api.post("/register/", body)
    assert registered.status == 200 or registered.body.get("mobile") == ["Already registered"]
    await until(lambda: own_api.post("/login/", {"mobile": mobile, "password": PASSWORD}), 200, BACK_WITHIN)


async def test_services_may_start_before_their_servers(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone
) -> None:
    own_system.stop()
    for server in servers.all:
        await asyncio.to_thread(server.stop)
    for process in own_system.all:
        process.start(wait=False)
    await asyncio.to_thread(own_system.auth.wait_for, 503)
    for server in servers.all:
        await asyncio.to_thread(server.start)
    for process in own_system.all:
        await asyncio.to_thread(process.wait_for, 200)
    await sign_up(own_api, own_phone, new_mobile(), PASSWORD)
