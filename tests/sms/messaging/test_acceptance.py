"""What a worker does not send, although it can read it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest

from deploy.local.servers import Servers
from shared.amqp.topology import DEAD_QUEUE, SEND_CODE_QUEUE, declare_sms_topology
from shared.clock import now
from shared.contracts.messages import SendCode, SendCodeV1, SendCodeV2, decode_send_code, encode_send_code
from shared.security.sealing import Sealer
from tests.support.pipeline import Pipeline, running_pipeline, until
from tests.support.system import MESSAGE_SECRET

V1, V2 = SendCodeV1.TYPE, SendCodeV2.TYPE
SEALER = Sealer([MESSAGE_SECRET])


@pytest.fixture(name="pipeline")
async def _pipeline(servers: Servers, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with running_pipeline(servers, tmp_path) as running:
        yield running


async def put(pipeline: Pipeline, message: SendCode, message_type: str, body: bytes) -> None:
    async with pipeline.channel() as channel:
        exchange, _ = await declare_sms_topology(channel)
        properties = aio_pika.Message(body, type=message_type, message_id=message.message_id, delivery_mode=2)
        await exchange.publish(properties, SEND_CODE_QUEUE)


async def reason_of_death(pipeline: Pipeline) -> str:
    async def there() -> bool:
        return (await pipeline.depth(DEAD_QUEUE))[0] == 1

    await until(there)
    assert await pipeline.provider.inbox() == []
    async with pipeline.channel() as channel:
        letter = await (await channel.get_queue(DEAD_QUEUE)).get()
        return str(letter.headers["reason"])


async def test_an_unsealed_message_sends_nothing(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    message = pipeline.new_message()
    await put(pipeline, message, V1, message.model_dump_json().encode())
    assert await reason_of_death(pipeline) == f"unsealed: {V1} is accepted with SMS_ACCEPT_V1 only"


async def test_an_unsealed_message_is_sent_during_an_update_from_a_version_that_publishes_them(
    pipeline: Pipeline,
) -> None:
    await pipeline.ready_worker(SMS_ACCEPT_V1="true")
    message = pipeline.new_message()
    await put(pipeline, message, V1, message.model_dump_json().encode())
    await pipeline.reach([message], "accepted")


@pytest.mark.parametrize(
    ("created", "expires", "member"),
    [
        (timedelta(0), timedelta(days=365), "expires_at"),
        (timedelta(days=-300), timedelta(hours=3), "expires_at"),
        (timedelta(hours=1), timedelta(hours=1), "created_at"),
        (timedelta(days=3000), timedelta(days=3001), "created_at"),
    ],
)
async def test_a_message_of_an_impossible_time_sends_nothing(
    pipeline: Pipeline, created: timedelta, expires: timedelta, member: str
) -> None:
    await pipeline.ready_worker()
    times = {"created_at": now() + created, "expires_at": now() + expires}
    message = pipeline.new_message().model_copy(update=times)
    await put(pipeline, message, V2, encode_send_code(message, SEALER))
    assert await reason_of_death(pipeline) == f"out of bounds: {member}"


async def test_a_code_of_the_longest_life_is_sent(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    messages = await pipeline.publish(ttl=3600)
    await pipeline.reach(messages, "accepted")


@pytest.mark.parametrize(
    ("member", "value"),
    [("expires_at", "2126-01-01T00:00:00Z"), ("purpose", "delete"), ("channel", "voice"),
     ("created_at", "2020-01-01T00:00:00Z")],
)  # fmt: skip
def test_what_is_outside_of_the_seal_cannot_be_changed(member: str, value: str) -> None:
    message = SendCode(
        message_id="1", mobile="13800000000", code="123456", purpose="register", created_at=now(),
        expires_at=now() + timedelta(minutes=10),
    )  # fmt: skip
    body = json.loads(encode_send_code(message, SEALER)) | {member: value}
    assert decode_send_code(V2, json.dumps(body).encode(), SEALER) == message
