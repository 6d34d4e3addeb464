"""Workers that are killed at each step of a message."""

import asyncio

import pytest

from shared.contracts.messages import SendCode
from tests.chaos.audit import audit
from tests.support.pipeline import LOOK_UP_AT_ONCE, Pipeline
from tests.support.proxies import TcpProxy

BY_FILTER: dict[str, str] = {}
RESOLUTIONS = pytest.mark.parametrize("settings", [BY_FILTER, LOOK_UP_AT_ONCE], ids=["filter", "records"])


async def end_with_one_text(pipeline: Pipeline, message: SendCode, settings: dict[str, str]) -> None:
    """Let another worker finish, and audit."""
    await pipeline.ready_worker(**settings)
    await pipeline.reach([message], "accepted")
    await pipeline.end_workers()
    audited = await audit(pipeline, [message])
    assert audited.places == {"accepted": 1}
    assert audited.most_texts == 1


@RESOLUTIONS
async def test_killed_before_the_call(pipeline: Pipeline, settings: dict[str, str]) -> None:
    async with TcpProxy(pipeline.redis_server.url) as network:
        worker = await pipeline.ready_worker(REDIS_URL=network.url_through, **settings)
        network.hold("up")
        [message] = await pipeline.publish()
        await pipeline.until_empty()  # the worker has it
        await pipeline.kill(worker)
    assert await pipeline.provider.inbox() == []
    assert await pipeline.state(message) == "queued"
    await end_with_one_text(pipeline, message, settings)


@RESOLUTIONS
async def test_killed_during_the_call(pipeline: Pipeline, settings: dict[str, str]) -> None:
    worker = await pipeline.ready_worker(**settings)
    await pipeline.provider.fault(fault="hang", times=1)
    [message] = await pipeline.publish()
    await pipeline.reach([message], "attempting")
    await pipeline.until_taken()
    await pipeline.kill(worker)
    assert await pipeline.provider.inbox() == []
    await end_with_one_text(pipeline, message, settings)


@RESOLUTIONS
async def test_killed_between_acceptance_and_answer(pipeline: Pipeline, settings: dict[str, str]) -> None:
    worker = await pipeline.ready_worker(**settings)
    await pipeline.provider.fault(fault="accept_then_hang", times=1)
    [message] = await pipeline.publish()
    await pipeline.until_texted()
    await pipeline.kill(worker)
    assert await pipeline.state(message) == "attempting"
    await end_with_one_text(pipeline, message, settings)


@RESOLUTIONS
async def test_killed_between_answer_and_record(pipeline: Pipeline, settings: dict[str, str]) -> None:
    async with TcpProxy(pipeline.redis_server.url) as network:
        worker = await pipeline.ready_worker(REDIS_URL=network.url_through, **settings)
        await pipeline.provider.fault(fault="slow_read", seconds=1, times=1)
        [message] = await pipeline.publish()
        await pipeline.until_texted()
        network.hold("up")
        await asyncio.sleep(2)  # the answer is there, its record is not
        await pipeline.kill(worker)
    assert await pipeline.state(message) == "attempting"
    await end_with_one_text(pipeline, message, settings)


@RESOLUTIONS
async def test_killed_between_record_and_acknowledgement(
    pipeline: Pipeline, settings: dict[str, str]
) -> None:
    async with TcpProxy(pipeline.servers.rabbitmq.url) as network:
        worker = await pipeline.ready_worker(AMQP_URL=network.url_through, **settings)
        await pipeline.provider.fault(fault="latency", seconds=0.5)
        [message] = await pipeline.publish()
        await pipeline.reach([message], "attempting")
        network.hold("up")
        await pipeline.reach([message], "accepted")
        await pipeline.kill(worker)
    await pipeline.ready_worker(**settings)
    await pipeline.until_logged('"duplicate"')
    await end_with_one_text(pipeline, message, settings)


async def test_killed_between_retry_copy_and_acknowledgement(pipeline: Pipeline) -> None:
    async with TcpProxy(pipeline.servers.rabbitmq.url) as network:
        worker = await pipeline.ready_worker(AMQP_URL=network.url_through)
        await pipeline.provider.fault(fault="code", code=-4, times=1)  # certainly not sent
        await pipeline.provider.fault(fault="latency", seconds=0.5)
        [message] = await pipeline.publish()
        await pipeline.reach([message], "attempting")
        network.hold("down")  # the copy is stored, its confirmation does not come
        await pipeline.reach([message], "reserved")
        await asyncio.sleep(0.5)
        await pipeline.kill(worker)
    await end_with_one_text(pipeline, message, {})
