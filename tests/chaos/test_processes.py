"""Services that are killed and stopped while they work."""

import asyncio
import signal
import time
from collections import Counter

import aio_pika

from deploy.local.ports import free_ports
from shared.amqp.topology import DEAD_QUEUE, SEND_CODE_QUEUE, declare_sms_topology
from shared.contracts.message_status import MessageStatuses
from shared.redis import client as redis_client
from tests.support.client import Api, Phone, new_mobile
from tests.support.proxies import ServiceProxy
from tests.support.system import Process, System

PASSWORD = "correct horse 电池"


async def test_a_message_of_a_killed_worker_is_sent_by_the_next(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await own_phone.fault(fault="hang", mobile=mobile, times=1)
    asked = await own_api.post("/code/", {"mobile": mobile})
    await own_phone.faults_taken()
    assert await state(own_system, asked["message_id"]) == "queued"
    own_system.sms.stop(signal.SIGKILL)
    assert await own_phone.texts(mobile) == []
    own_system.sms.start()
    await own_phone.code(mobile)
    await reaches(own_system, asked["message_id"], "sent")
    assert len(await own_phone.texts(mobile)) == 1


async def test_a_message_that_was_accepted_before_the_kill_is_not_texted_twice(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await own_phone.fault(fault="accept_then_hang", mobile=mobile, times=1)
    asked = await own_api.post("/code/", {"mobile": mobile})
    await own_phone.code(mobile)
    own_system.sms.stop(signal.SIGKILL)
    own_system.sms.start()
    await reaches(own_system, asked["message_id"], "sent")
    assert len(await own_phone.texts(mobile)) == 1


async def test_a_stopping_worker_finishes_what_it_holds(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    await own_phone.fault(fault="latency", seconds=1.0)
    mobiles = [new_mobile() for _ in range(20)]
    await asyncio.gather(*(own_api.post("/code/", {"mobile": mobile}) for mobile in mobiles))
    await asyncio.sleep(0.3)
    assert await asyncio.to_thread(own_system.sms.stop) == 0
    sent = [len(await own_phone.texts(mobile)) for mobile in mobiles]
    own_system.sms.start()
    for mobile in mobiles:
        await own_phone.code(mobile)
    assert max(sent) == 1
    assert [len(await own_phone.texts(mobile)) for mobile in mobiles] == [1] * 20


async def test_what_is_not_readable_goes_to_the_dead_queue_and_the_worker_goes_on(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    dead_before = await dead_messages(own_system)
    await publish(own_system, b"\x00garbage", "sms.send_code.v1")
    await publish(own_system, b"{}", "sms.send_code.v99")
    mobile = new_mobile()
    await own_api.post("/code/", {"mobile": mobile})
    await own_phone.code(mobile)
    deadline = time.monotonic() + 10
    while await dead_messages(own_system) < dead_before + 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_stopping_one_of_two_replicas_fails_no_request(own_system: System, own_api: Api) -> None:
    first, second = own_system.auth, replica(own_system)
    first.stop()
    first.env["DRAIN_DELAY"] = "5"  # longer than the gateway keeps idle connections
    first.start()
    second.start()
    async with ServiceProxy([first.probe, second.probe]) as service:
        await asyncio.to_thread(own_system.gateway.stop)
        own_system.gateway.env["AUTH_URL"] = f"http://127.0.0.1:{service.port}"
        # In a thread: to be ready it asks the services, by way of the proxy in this one.
        await asyncio.to_thread(own_system.gateway.start)
        statuses: Counter[int] = Counter()
        load = [asyncio.create_task(keep_signing_in(own_api, statuses)) for _ in range(16)]
        await asyncio.sleep(1)
        assert await asyncio.to_thread(first.stop) == 0
        await asyncio.sleep(1)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert second.stop() == 0
    assert set(statuses) == {400}, statuses  # wrong credentials, each answered by auth
    assert statuses[400] > 100
    assert "request" in first.log.read_text()


async def test_a_stopping_gateway_answers_what_it_has_accepted(own_system: System, own_api: Api) -> None:
    own_system.gateway.stop()
    own_system.gateway.env["DRAIN_DELAY"] = "1"  # what the kernel has accepted for it is let in meanwhile
    own_system.gateway.start()
    requests = [
        asyncio.create_task(own_api.post("/login/", {"mobile": new_mobile(), "password": PASSWORD}))
        for _ in range(200)
    ]
    await asyncio.sleep(0.2)
    assert await asyncio.to_thread(own_system.gateway.stop) == 0
    replies = await asyncio.gather(*requests)
    answers = Counter((reply.status, reply["type"]) for reply in replies)
    assert answers[400, "/problems/wrong-credentials"], answers
    # On a busy machine auth may have more to do than it can in time: that is an answer of auth's, too.
    late = {(503, "/problems/overloaded"), (503, "/problems/service-unavailable")}
    assert set(answers) <= late | {(400, "/problems/wrong-credentials")}, answers


async def keep_signing_in(api: Api, statuses: Counter[int]) -> None:
    while True:
        reply = await api.post("/login/", {"mobile": new_mobile(), "password": PASSWORD})
        statuses[reply.status] += 1


def replica(system: System) -> Process:
    """Return a second auth process beside the first."""
    port = free_ports(["auth"])["auth"]
    env = system.auth.env | {"AUTH_PORT": str(port)}
    log = system.auth.log.with_suffix(".second.log")
    return Process("services.auth", ["serve"], env, log, f"http://127.0.0.1:{port}/readyz")


async def state(system: System, message_id: str) -> str | None:
    redis = redis_client.connect(system.env["REDIS_URL"])
    try:
        status = await MessageStatuses(redis).get(message_id)
    finally:
        await redis.aclose()
    return status.state if status else None


async def reaches(system: System, message_id: str, wanted: str, seconds: float = 15) -> None:
    """Wait until a message has a state."""
    deadline = time.monotonic() + seconds
    while (seen := await state(system, message_id)) != wanted:
        assert time.monotonic() < deadline, f"still {seen}"
        await asyncio.sleep(0.02)


async def publish(system: System, body: bytes, message_type: str) -> None:
    connection = await aio_pika.connect(system.env["AMQP_URL"])
    async with connection:
        exchange = (await declare_sms_topology(await connection.channel()))[0]
        await exchange.publish(aio_pika.Message(body, type=message_type), SEND_CODE_QUEUE)


async def dead_messages(system: System) -> int:
    connection = await aio_pika.connect(system.env["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(DEAD_QUEUE, passive=True)
        return queue.declaration_result.message_count or 0
