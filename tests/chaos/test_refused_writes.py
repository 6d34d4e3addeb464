"""Servers that answer but store nothing: `/readyz` and the metrics name them, and nothing hangs."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from redis import Redis as RedisClient

from deploy.local.ports import free_port
from deploy.local.rabbitmq import RabbitMq
from deploy.local.servers import Servers
from services.auth.db.database import Database
from shared.health import Health
from tests.chaos.replicated_mariadb import Replicated
from tests.chaos.test_dependencies import PASSWORD, quick_503, readiness, until
from tests.support.client import Api, Phone, eventually, new_mobile, sign_up
from tests.support.isolation import rabbitmqctl
from tests.support.system import System


@contextmanager
def alarm(broker: RabbitMq, kind: str) -> Iterator[None]:
    """Raise an alarm as the broker itself does: its limits are set to what it is beyond."""
    if kind == "memory":
        raised, cleared = (
            ["set_vm_memory_high_watermark", "absolute", "1MB"],
            ["set_vm_memory_high_watermark", "0.4"],
        )
    else:
        raised, cleared = ["set_disk_free_limit", "900000GB"], ["set_disk_free_limit", "50MB"]
    rabbitmqctl(broker, *raised)
    try:
        yield
    finally:
        rabbitmqctl(broker, *cleared)


def gauges(url: str) -> dict[str, float]:
    """Return the results of the checks, as the metrics show them."""
    with urlopen(url.replace("readyz", "metrics"), timeout=5) as response:
        lines = response.read().decode().splitlines()
    prefix = 'dialpass_dependency_up{dependency="'
    found = [line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix)]
    return {name: float(value) for name, value in found}


async def shows(system: System, check: str, state: str) -> None:
    """Wait until auth's readiness and metrics show a state of a check; the process itself stays ready."""
    deadline = time.monotonic() + 10
    wanted = float(state == "ok")
    while (seen := readiness(system)[check]) != state or gauges(system.auth.probe)[check] != wanted:
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.1)
    await asyncio.to_thread(system.auth.wait_for, 200)


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_an_alarm_of_the_broker_is_named_and_refused_at_once(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone, kind: str
) -> None:
    mobile = new_mobile()
    await shows(own_system, "rabbitmq_writes", "ok")
    with alarm(servers.rabbitmq, kind):
        # The broker tells a connection once it publishes: the first request waits for a confirmation.
        first = await quick_503(own_api.post("/code/", {"mobile": mobile}), 4)
        assert first["type"] == "/problems/sms-unavailable"
        await shows(own_system, "rabbitmq_writes", "failed: ConnectionBlocked")
        assert readiness(own_system)["rabbitmq"] == "ok"
        others = [new_mobile() for _ in range(5)]
        replies = await asyncio.gather(
            *(quick_503(own_api.post("/code/", {"mobile": other}), 4) for other in others)
        )
        assert {reply["type"] for reply in replies} == {"/problems/sms-unavailable"}
    await until(lambda: own_api.post("/code/", {"mobile": others[0]}), 200, 10)
    await own_phone.code(others[0], seconds=10)
    await shows(own_system, "rabbitmq_writes", "ok")
    for other in others[1:]:  # nothing was left on the way to the broker
        assert await own_phone.texts(other) == []


async def test_a_full_redis_is_named_and_passwords_go_on(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone
) -> None:
    member = new_mobile()
    await sign_up(own_api, own_phone, member, PASSWORD)
    with RedisClient.from_url(servers.redis.url) as redis:
        redis.config_set("maxmemory", "1")
        try:
            await quick_503(own_api.post("/code/", {"mobile": new_mobile()}), 4)
            await shows(own_system, "redis_writes", "failed: OutOfMemoryError")
            assert readiness(own_system)["redis"] == "ok"
            assert (await own_api.post("/login/", {"mobile": member, "password": PASSWORD})).status == 200
            await eventually(lambda: gauges(own_system.sms.probe)["redis_writes"] == 0)
        finally:
            redis.config_set("maxmemory", "0")
    await shows(own_system, "redis_writes", "ok")
    mobile = new_mobile()
    await until(lambda: own_api.post("/code/", {"mobile": mobile}), 200, 10)
    await own_phone.code(mobile, seconds=10)


async def test_a_read_only_database_is_named(tmp_path: Path) -> None:
    server = Replicated(tmp_path, free_port(), 1)
    server.start()
    database = Database(server.url, pool_size=1)
    health = Health({"mysql": database.check}, {"mysql_writes": database.check_writes})
    try:
        assert set((await health.readiness()).checks.values()) == {"ok"}
        server.execute("SET GLOBAL read_only = 1")
        await asyncio.sleep(1.1)  # the states are kept for a second
        state = await health.readiness()
    finally:
        await database.close()
        server.stop()
    assert (state.ready, dict(state.checks)) == (True, {"mysql": "ok", "mysql_writes": "failed: ReadOnly"})
