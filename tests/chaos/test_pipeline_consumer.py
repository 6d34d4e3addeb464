"""Workers whose consumer, channel or connection is closed, and workers that are stopped."""

import asyncio
import signal

import aio_pika
from aio_pika.exceptions import AMQPError

from shared.amqp.topology import SEND_CODE_QUEUE, SMS_EXCHANGE
from shared.contracts.messages import SendCode, SendCodeV2, encode_send_code
from shared.security.sealing import Sealer
from tests.chaos.audit import audit
from tests.support.pipeline import Pipeline, until
from tests.support.proxies import TcpProxy
from tests.support.system import MESSAGE_SECRET


async def is_consumed(pipeline: Pipeline) -> bool:
    try:
        return (await pipeline.depth())[1] > 0
    except AMQPError:
        return False


async def consumes_again(pipeline: Pipeline) -> None:
    """Wait until there is a consumer, and a message gets through."""
    await until(lambda: is_consumed(pipeline))
    await pipeline.publish_through(pipeline.servers.rabbitmq.url)
    messages = await pipeline.publish()
    await pipeline.reach(messages, "accepted")


async def put_past_the_exchange(pipeline: Pipeline, message: SendCode) -> None:
    async with pipeline.channel() as channel:
        body = encode_send_code(message, Sealer([MESSAGE_SECRET]))
        sealed = aio_pika.Message(body, type=SendCodeV2.TYPE, message_id=message.message_id, delivery_mode=2)
        await channel.default_exchange.publish(sealed, SEND_CODE_QUEUE)


async def test_a_consumer_that_the_broker_cancels_comes_back(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    async with pipeline.channel() as channel:
        await channel.queue_delete(SEND_CODE_QUEUE)
    await consumes_again(pipeline)
    assert "broker_connection_lost" in pipeline.logs()


async def test_a_channel_that_the_broker_closes_comes_back(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    await pipeline.provider.fault(fault="code", code=-51, times=1)
    message = pipeline.new_message()
    async with pipeline.channel() as channel:
        await channel.exchange_delete(SMS_EXCHANGE)
    await put_past_the_exchange(pipeline, message)  # a copy of it cannot be published
    await pipeline.reach([message], "accepted")
    assert "not_stored" in pipeline.logs()
    await consumes_again(pipeline)
    assert (await audit(pipeline, [message])).most_texts == 1


async def test_a_connection_that_is_cut_comes_back(pipeline: Pipeline) -> None:
    async with TcpProxy(pipeline.servers.rabbitmq.url) as network:
        await pipeline.ready_worker(AMQP_URL=network.url_through)
        network.cut()
        await consumes_again(pipeline)


async def test_a_stopping_worker_finishes_its_messages_and_consumes_no_more(
    pipeline: Pipeline,
) -> None:
    await pipeline.provider.fault(fault="latency", seconds=2)
    worker = await pipeline.ready_worker(SMS_CONCURRENCY="4")
    messages = await pipeline.publish(10)
    await until(lambda: holds(pipeline, messages, 4))
    assert await asyncio.to_thread(worker.stop, signal.SIGTERM) == 0
    # Had it gone on consuming, each of the four would have made room for another one.
    assert await count(pipeline, messages, "accepted") == 4
    assert (await pipeline.depth())[0] == 6  # the four are acknowledged
    audited = await audit(pipeline, messages)
    assert audited.places == {"accepted": 4, "queued": 6}
    assert audited.most_texts == 1
    assert '"cut_off": 0' in worker.log.read_text().splitlines()[-1]


async def test_a_worker_that_cannot_finish_in_time_returns_its_messages(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="hang", times=2)
    worker = await pipeline.ready_worker(DRAIN_TIMEOUT="0.5")
    messages = await pipeline.publish(2)
    await pipeline.until_taken()
    assert await asyncio.to_thread(worker.stop, signal.SIGTERM) == 1
    assert (await audit(pipeline, messages)).places == {"queued": 2}
    await pipeline.ready_worker()
    await pipeline.reach(messages, "accepted")
    await pipeline.end_workers()
    assert (await audit(pipeline, messages)).most_texts == 1


async def holds(pipeline: Pipeline, messages: list[SendCode], number: int) -> bool:
    return await count(pipeline, messages, "attempting") == number


async def count(pipeline: Pipeline, messages: list[SendCode], state: str) -> int:
    return [await pipeline.state(message) for message in messages].count(state)
