"""The commands other than `dead`, on the real servers."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from redis.asyncio import Redis

from deploy.local.ports import free_ports
from deploy.local.rabbitmq import RabbitMq, RabbitPorts
from deploy.local.servers import MANAGEMENT
from services.sms.delivery.repository import MessageRepository
from shared.amqp.topology import DEAD_QUEUE, declare_sms_topology
from shared.clock import now
from tests.support.client import Phone, new_mobile
from tests.support.sms_commands import message, put_dead, rows, sms
from tests.support.sms_delivery import accepted
from tests.support.system import System


async def test_queue_status_shows_depth_and_consumers(system: System, dead_queue: AbstractChannel) -> None:
    await put_dead(dead_queue, message(new_mobile()))
    status = rows(sms(system, "queue", "status", "--json"))
    queues = {queue["name"]: queue for queue in status["queues"]}
    assert queues[DEAD_QUEUE] == {
        "name": DEAD_QUEUE, "ready": 1, "consumers": 0, "unacked": None, "published": None,
        "acknowledged": None,
    }  # fmt: skip
    assert queues["sms.send_code"]["consumers"] == 1
    assert {"sms.wait.500ms", "sms.wait.1000ms", "sms.wait.2000ms"} < set(queues)
    assert status["oldest_seconds"] >= 0
    table = sms(system, "queue", "status").stdout
    assert DEAD_QUEUE in table
    assert "oldest_seconds" in table


async def test_the_management_plug_in_adds_rates(system: System, tmp_path: Path) -> None:
    ports = free_ports(["rabbitmq", "epmd", "distribution", MANAGEMENT])
    broker = RabbitMq(
        tmp_path / "rabbitmq",
        RabbitPorts(ports["rabbitmq"], ports["epmd"], ports["distribution"], ports[MANAGEMENT]),
    )
    broker.start()
    try:
        connection = await aio_pika.connect(broker.url)
        async with connection:
            await declare_sms_topology(await connection.channel())
        url = broker.url.replace("amqp:", "http:").replace(str(ports["rabbitmq"]), str(ports[MANAGEMENT]))
        deadline = time.monotonic() + 30  # it collects its figures every five seconds
        while (queue := work_queue(system, broker.url, url))["unacked"] is None:
            assert time.monotonic() < deadline
        assert queue.items() >= {"ready": 0, "unacked": 0, "published": 0.0, "acknowledged": 0.0}.items()
        wrong = url.replace("http://dialpass:", "http://nobody:")
        done = sms(system, "queue", "status", AMQP_URL=broker.url, RABBITMQ_MANAGEMENT_URL=wrong)
        assert done.returncode == 1
        assert done.stderr == "RABBITMQ_MANAGEMENT_URL does not answer as hoped (401)\n"
    finally:
        broker.stop()


def work_queue(system: System, amqp_url: str, management_url: str) -> dict[str, Any]:
    done = sms(system, "queue", "status", "--json", AMQP_URL=amqp_url, RABBITMQ_MANAGEMENT_URL=management_url)
    by_name = {queue["name"]: queue for queue in rows(done)["queues"]}
    assert by_name["sms.wait.500ms"]["ready"] is None  # nobody has declared it
    return dict(by_name["sms.send_code"])


async def test_ledger_show_prints_the_record_of_a_message(system: System, system_redis: Redis) -> None:
    message_id = await accepted(MessageRepository(system_redis), "4711")
    record = rows(sms(system, "ledger", "show", message_id, "--json"))
    assert record.items() >= {"message_id": message_id, "state": "accepted", "sid": "4711"}.items()
    assert "accepted" in sms(system, "ledger", "show", message_id).stdout
    unknown = sms(system, "ledger", "show", "nothing")
    assert (unknown.returncode, unknown.stderr) == (1, "no such message, or it is older than a day\n")


async def test_provider_check_shows_the_state_of_each_account(system: System) -> None:
    good = sms(system, "provider", "check", "--json")
    assert (good.returncode, [row["state"] for row in rows(good)]) == (0, ["ok"])
    assert float(rows(good)[0]["balance"]) > 0
    wrong = sms(system, "provider", "check", YUNPIAN_ACCOUNTS=f"backup={'0' * 32}")
    assert wrong.returncode == 1
    assert "-1 " in wrong.stdout
    assert "0" * 32 not in wrong.stdout
    nobody = sms(system, "provider", "check", "--json", YUNPIAN_BASE_URL="http://127.0.0.1:1")
    assert (nobody.returncode, rows(nobody)[0]["state"]) == (1, "connect")


async def test_send_waits_for_the_delivery(system: System, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.outcome(mobile=mobile, delay=0)
    done = sms(system, "send", "--mobile", f"+86 {mobile}", "--delivered", "--json")
    record = rows(done)
    assert (done.returncode, record["state"], record["account"]) == (0, "delivered", "main")
    code = await phone.code(mobile)
    assert code not in done.stdout
    assert mobile not in done.stdout
    assert datetime.fromisoformat(record["accepted_at"]) <= now()


async def test_send_fails_if_the_message_is_refused(system: System, phone: Phone) -> None:
    mobile = new_mobile()
    await phone.fault(fault="code", code=10, mobile=mobile, times=1)
    done = sms(system, "send", "--mobile", mobile, "--json")
    assert (done.returncode, rows(done)["state"], rows(done)["detail"]) == (1, "failed", "10")
    assert sms(system, "send", "--mobile", "12345").returncode == 2


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("dead list", "RabbitMQ"),
        ("dead replay --all", "RabbitMQ"),
        ("queue status", "RabbitMQ"),
        ("queue status", "Redis"),
        ("ledger show x", "Redis"),
        ("send --mobile 13800000000", "Redis"),
    ],
)
def test_an_unavailable_server_is_reported_in_one_line(system: System, command: str, server: str) -> None:
    nowhere = {
        "RabbitMQ": {"AMQP_URL": "amqp://user:hunter2@127.0.0.1:1/"},
        "Redis": {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"},
    }[server]
    done = sms(system, *command.split(), **nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{server} does not answer")
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr
