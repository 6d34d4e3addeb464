"""Workers that are started, stopped and killed at random while messages are published."""

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from deploy.local.ports import free_port
from shared.contracts.messages import SendCode
from tests.chaos.audit import audit
from tests.chaos.mode import LONG
from tests.support.pipeline import Pipeline, until
from tests.support.system import Process

WORKERS, SECONDS = (20, 60) if LONG else (4, 8)
MESSAGES_PER_SECOND = 30


async def test_workers_that_start_and_die_at_random_lose_nothing(pipeline: Pipeline) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WORKERS + 4))
    await misbehave(pipeline)
    messages: list[SendCode] = []
    stop_at = time.monotonic() + SECONDS
    workers = [pipeline.worker(SMS_CONCURRENCY="4") for _ in range(WORKERS)]
    coming = [
        come_and_go(pipeline, worker, random.Random(number), stop_at) for number, worker in enumerate(workers)
    ]
    publishing = asyncio.create_task(keep_publishing(pipeline, messages, stop_at))
    ends = await asyncio.gather(*coming)
    await publishing
    for worker in workers[:2]:
        worker.start(wait=False)
    await pipeline.reach(messages, "accepted", "limited", "failed", seconds=90)
    await pipeline.end_workers()
    audited = await audit(pipeline, messages)
    assert audited.places.total() == len(messages) >= SECONDS
    assert audited.places["accepted"] > audited.places["limited"]
    assert audited.places["failed"] <= len(pipeline.unconfirmed)  # by a broker that was too busy
    assert audited.most_texts == 1
    assert sum(ends) >= WORKERS  # each was there and went away again


async def misbehave(pipeline: Pipeline) -> None:
    await pipeline.provider.fault(fault="latency", seconds=0.3)
    for code in (-51, -50, 22):
        await pipeline.provider.fault(fault="code", code=code, times=SECONDS)
    for fault in ("accept_then_drop", "accept_then_reset", "drop", "bad_gateway_html"):
        await pipeline.provider.fault(fault=fault, times=SECONDS)


async def keep_publishing(pipeline: Pipeline, messages: list[SendCode], stop_at: float) -> None:
    while time.monotonic() < stop_at:
        messages += await pipeline.publish(MESSAGES_PER_SECOND // 10)
        await asyncio.sleep(0.1)


async def come_and_go(pipeline: Pipeline, worker: Process, chance: random.Random, stop_at: float) -> int:
    """Kill or stop a worker soon after it is ready, and start it again; returns how often it ended."""
    ends = 0
    while time.monotonic() < stop_at:
        await until(lambda: is_ready(pipeline, worker), 90)
        await asyncio.sleep(chance.uniform(0.2, 3))
        await (pipeline.kill(worker) if chance.random() < 0.6 else asyncio.to_thread(worker.stop))
        ends += 1
        worker.env["SMS_PORT"] = port = str(free_port())
        worker.probe = f"http://127.0.0.1:{port}/readyz"
        worker.start(wait=False)
    await pipeline.kill(worker)
    return ends


async def is_ready(pipeline: Pipeline, worker: Process) -> bool:
    try:
        async with pipeline.provider.session.get(worker.probe) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
