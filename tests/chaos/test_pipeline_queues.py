"""The wait queues, the dead letter queue, and messages of other versions."""

from datetime import datetime, timedelta

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiormq.abc import FieldTable
from tornado.httpserver import HTTPServer

from deploy.local.ports import free_port
from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings
from services.sms.delivery.repository import MessageRepository
from shared.amqp.topology import DEAD_QUEUE, SEND_CODE_QUEUE, declare_sms_topology
from shared.clock import now
from shared.contracts.messages import SendCodeV1, SendCodeV2, decode_send_code, encode_send_code
from shared.security.sealing import Sealer
from tests.chaos.audit import audit
from tests.support.pipeline import Pipeline, until
from tests.support.provider import KEY
from tests.support.system import MESSAGE_SECRET

V1, V2 = SendCodeV1.TYPE, SendCodeV2.TYPE
SEALER = Sealer([MESSAGE_SECRET])


async def put(pipeline: Pipeline, body: bytes, message_type: str, **properties: object) -> None:
    async with pipeline.channel() as channel:
        exchange, _ = await declare_sms_topology(channel)
        message = aio_pika.Message(body, type=message_type, delivery_mode=2, **properties)  # type: ignore[arg-type]
        await exchange.publish(message, SEND_CODE_QUEUE)


async def dead(pipeline: Pipeline, number: int = 1) -> list[AbstractIncomingMessage]:
    """Return the messages of the dead queue, once there are so many, and leave them there."""

    async def there() -> bool:
        return (await pipeline.depth(DEAD_QUEUE))[0] >= number

    await until(there)
    async with pipeline.channel() as channel:
        queue = await channel.get_queue(DEAD_QUEUE)
        return [await queue.get() for _ in range(number)]


async def test_a_message_of_version_1_is_read_where_it_is_accepted(pipeline: Pipeline) -> None:
    await pipeline.ready_worker(SMS_ACCEPT_V1="true")
    message = pipeline.new_message()
    await put(pipeline, message.model_dump_json().encode(), V1, message_id=message.message_id)
    await pipeline.reach([message], "accepted")
    assert (await audit(pipeline, [message])).most_texts == 1


async def test_an_unreadable_message_is_dead_lettered_with_its_reason(
    pipeline: Pipeline,
) -> None:
    await pipeline.ready_worker(SMS_ACCEPT_V1="true")
    stranger = Sealer(["of somebody else " * 2])
    for body, message_type in (
        (b"\x00garbage", V1),
        (b"{}", "sms.send_code.v99"),
        (b"{}", V2),
        (encode_send_code(pipeline.new_message(), stranger), V2),
    ):
        await put(pipeline, body, message_type, headers={"attempts": "many", "since": "never"})
    reasons = {str(message.headers["reason"]) for message in await dead(pipeline, 4)}
    assert reasons == {
        f"malformed {V1}: body",
        "unknown message type",
        f"malformed {V2}: created_at, expires_at, message_id, purpose, sealed",
        f"sealed {V2}: no secret opens it",
    }
    messages = await pipeline.publish()
    await pipeline.reach(messages, "accepted")


async def test_malformed_headers_do_not_stop_a_message(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    message = pipeline.new_message()
    headers = {"attempts": "many", "since": "never", "account": 7, "request_id": {"a": 1}}
    await put(pipeline, encode_send_code(message, SEALER), V2, headers=headers)
    await pipeline.reach([message], "accepted")


async def test_a_failed_message_is_dead_lettered_unchanged_with_its_reason(
    pipeline: Pipeline,
) -> None:
    await pipeline.provider.fault(fault="code", code=4, times=1)
    await pipeline.ready_worker()
    [message] = await pipeline.publish()
    await pipeline.reach([message], "failed")
    [letter] = await dead(pipeline)
    assert decode_send_code(letter.type, letter.body, SEALER) == message
    assert letter.message_id == message.message_id
    assert letter.delivery_mode == 2
    headers = {name: value for name, value in letter.headers.items() if not name.startswith("x-")}
    assert timedelta(0) <= now() - datetime.fromisoformat(str(headers.pop("died_at"))) < timedelta(minutes=1)
    assert headers.pop("request_id")
    assert headers == {"reason": "refused", "code": "4", "attempts": 1}
    for secret in (message.mobile, message.code):
        assert secret.encode() not in letter.body


async def test_dead_letters_are_kept_for_a_week(pipeline: Pipeline) -> None:
    async with pipeline.channel() as channel:
        arguments: FieldTable = {
            "x-queue-type": "quorum",
            "x-message-ttl": 7 * 24 * 3600 * 1000,
            "x-delivery-limit": 1_000_000_000,  # looking at it is no reason to drop it
        }
        await channel.declare_queue(DEAD_QUEUE, durable=True, arguments=arguments)  # refused if they differ


async def test_a_message_that_crashes_workers_again_and_again_is_dead_lettered_by_the_broker(
    pipeline: Pipeline,
) -> None:
    messages = await pipeline.publish()
    async with pipeline.channel() as channel:
        queue = await channel.get_queue(SEND_CODE_QUEUE)
        for _ in range(21):
            await (await queue.get(timeout=5)).reject(requeue=True)
    [letter] = await dead(pipeline)
    assert letter.message_id == messages[0].message_id
    assert (await audit(pipeline, messages)).places == {"dead": 1}


async def test_each_retry_waits_longer_than_the_one_before(pipeline: Pipeline) -> None:
    port = free_port()  # where nobody listens at first
    await pipeline.ready_worker(YUNPIAN_BASE_URL=f"http://127.0.0.1:{port}")
    [message] = await pipeline.publish()
    repository = MessageRepository(pipeline.redis)

    async def tried_three_times() -> bool:
        fields = await repository.fields(message.message_id)
        return (fields.get("attempts"), fields.get("state")) == ("3", "reserved")

    await until(tried_three_times)
    server = HTTPServer(make_app(SimulatorSettings(yunpian_api_key=KEY)))
    server.listen(port, "127.0.0.1")
    await pipeline.reach([message], "accepted")
    server.stop()
    fields = await repository.fields(message.message_id)
    assert fields["attempts"] == "4"
    took = datetime.fromisoformat(fields["accepted_at"]) - message.created_at
    assert took >= timedelta(seconds=0.5 + 1.0 + 2.0)


async def test_a_message_may_be_retried_many_times(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="code", code=-51, times=25)
    await pipeline.ready_worker(SMS_RETRY_DELAYS="0.1")
    [message] = await pipeline.publish()
    await pipeline.reach([message], "accepted")
    assert (await MessageRepository(pipeline.redis).fields(message.message_id))["attempts"] == "26"


@pytest.mark.parametrize("delays", ["0.1", "0.1,0.3"])
async def test_delays_may_change_between_two_runs(pipeline: Pipeline, delays: str) -> None:
    await pipeline.provider.fault(fault="code", code=-4, times=1)
    worker = await pipeline.ready_worker()
    messages = await pipeline.publish()
    await pipeline.reach(messages, "reserved")
    await pipeline.kill(worker)
    await pipeline.ready_worker(SMS_RETRY_DELAYS=delays)
    await pipeline.reach(messages, "accepted")
