"""A broker and a Redis that stop, lose their data or cannot be reached while workers are busy."""

import asyncio
from datetime import timedelta

import pytest

from shared.contracts.messages import SendCode
from tests.chaos.audit import AuditResult, audit
from tests.support.pipeline import LOOK_UP_AT_ONCE, Pipeline
from tests.support.proxies import TcpProxy

RESOLUTIONS = pytest.mark.parametrize("settings", [{}, LOOK_UP_AT_ONCE], ids=["filter", "records"])


async def end_and_audit(pipeline: Pipeline, messages: list[SendCode]) -> AuditResult:
    await pipeline.end_workers()
    return await audit(pipeline, messages)


async def all_with_one_text(pipeline: Pipeline, messages: list[SendCode]) -> None:
    await pipeline.reach(messages, "accepted", seconds=60)
    audited = await end_and_audit(pipeline, messages)
    assert audited.places == {"accepted": len(messages)}
    assert set(audited.texts.values()) == {1}


async def test_a_broker_that_stops_and_starts_loses_nothing(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="latency", seconds=0.3)
    for _ in range(10):
        await pipeline.provider.fault(fault="code", code=-51, times=1)
    await pipeline.ready_worker()
    messages = await pipeline.publish(60)
    await pipeline.until_texted(10)
    await asyncio.to_thread(pipeline.servers.rabbitmq.stop)
    # An unconfirmed message is abandoned, unless a worker has it.
    refused = [pipeline.new_message() for _ in range(2)]
    assert not any([await pipeline.hand_over(message) for message in refused])
    await asyncio.to_thread(pipeline.servers.rabbitmq.start)
    await all_with_one_text(pipeline, messages)
    assert (await audit(pipeline, refused)).places == {"failed": 2}


async def test_a_connection_that_is_cut_again_and_again_loses_nothing(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="latency", seconds=0.1)
    for _ in range(30):
        await pipeline.provider.fault(fault="code", code=-51, times=1)
    async with TcpProxy(pipeline.servers.rabbitmq.url) as network:
        await pipeline.ready_worker(AMQP_URL=network.url_through)
        messages = await pipeline.publish(80)
        for direction in ("up", "down", "up", "down"):
            await asyncio.sleep(0.7)
            network.hold(direction)  # mid-acknowledgement, then mid-confirmation of a copy
            await asyncio.sleep(0.2)
            network.cut()
            network.release()
        await all_with_one_text(pipeline, messages)


async def test_an_unconfirmed_publish_is_abandoned_or_sent_once(pipeline: Pipeline) -> None:
    async with TcpProxy(pipeline.servers.rabbitmq.url) as network:
        await pipeline.publish_through(network.url_through)
        for direction in ("up", "down"):
            network.hold(direction)
            publishing = asyncio.create_task(pipeline.publish(5))
            await asyncio.sleep(0.3)
            network.cut()
            network.release()
            messages = await publishing
            await pipeline.ready_worker()
            await pipeline.reach(messages, "failed", "accepted")
            audited = await end_and_audit(pipeline, messages)
            assert audited.places.total() == 5
            assert audited.most_texts <= 1


async def test_messages_are_held_until_redis_is_back(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="latency", seconds=0.3)
    await pipeline.ready_worker()
    messages = await pipeline.publish(40)
    await pipeline.until_texted(8)
    await asyncio.to_thread(pipeline.redis_server.stop)
    await asyncio.sleep(2)
    await asyncio.to_thread(pipeline.redis_server.start)  # with its data
    await all_with_one_text(pipeline, messages)


@RESOLUTIONS
@pytest.mark.parametrize("fault", ["accept_then_hang", "hang"])
async def test_an_emptied_redis_and_a_killed_worker_leave_one_text(
    pipeline: Pipeline, settings: dict[str, str], fault: str
) -> None:
    worker = await pipeline.ready_worker(**settings)
    await pipeline.provider.fault(fault=fault, times=1)
    messages = await pipeline.publish()
    await pipeline.until_taken()
    await pipeline.kill(worker)
    await pipeline.empty_redis()
    assert await pipeline.state(messages[0]) == ""
    await pipeline.ready_worker(**settings)
    await all_with_one_text(pipeline, messages)


async def test_workers_record_their_outcomes_in_an_emptied_redis(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="latency", seconds=1, times=8)
    await pipeline.provider.fault(fault="code", code=-51, times=3)
    await pipeline.ready_worker()
    messages = await pipeline.publish(8)  # as many as it works on at once
    await pipeline.reach(messages, "attempting")
    await pipeline.empty_redis()
    await all_with_one_text(pipeline, messages)


async def test_a_waiting_message_is_not_sent_twice_after_redis_is_emptied(pipeline: Pipeline) -> None:
    message = pipeline.new_message()
    await pipeline.provider.fault(fault="accept_then_drop", mobile=message.mobile, times=1)
    worker = await pipeline.ready_worker(SMS_RETRY_DELAYS="2.0")
    await pipeline.hand_over(message)
    await pipeline.until_logged('"in_doubt"')
    await pipeline.kill(worker)
    await pipeline.empty_redis()
    await pipeline.ready_worker(SMS_FILTER_WINDOW="0.01")
    await all_with_one_text(pipeline, [message])


async def test_a_text_sent_long_after_its_publish_is_found_after_redis_is_emptied(pipeline: Pipeline) -> None:
    message = pipeline.new_message(ttl=7200)
    old = message.model_copy(update={"created_at": message.created_at - timedelta(hours=1)})
    await pipeline.provider.fault(fault="accept_then_hang", times=1)
    worker = await pipeline.ready_worker()
    await pipeline.hand_over(old)
    await pipeline.until_taken()
    await pipeline.kill(worker)
    await pipeline.empty_redis()
    await pipeline.ready_worker()
    await all_with_one_text(pipeline, [old])
