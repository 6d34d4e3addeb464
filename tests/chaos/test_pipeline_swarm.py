"""Workers that are started, stopped and killed at random while messages keep coming."""

import asyncio
import os
import random
import time

from deploy.local.ports import free_port
from shared.messages import SendCode
from tests.chaos.audit import audit
from tests.chaos.pipeline import Pipeline
from tests.system import Process

# `make chaos` runs the long form.
LONG = os.environ.get("CHAOS") == "long"
WORKERS, SECONDS = (20, 60) if LONG else (4, 10)
RATE = 40 if LONG else 20


async def test_a_swarm_that_comes_and_goes_loses_nothing(pipeline: Pipeline) -> None:
    chance = random.Random(20260101)
    await pipeline.provider.fault(fault="latency", seconds=0.2)
    for code in (-51, -50, 22):
        for _ in range(SECONDS):
            await pipeline.provider.fault(fault="code", code=code, times=1)
    for fault in ("accept_then_drop", "accept_then_reset", "drop", "bad_gateway_html"):
        await pipeline.provider.fault(fault=fault, times=SECONDS)
    messages: list[SendCode] = []
    stop_at = time.monotonic() + SECONDS
    for _ in range(WORKERS):
        pipeline.worker()
    await asyncio.gather(
        keep_publishing(pipeline, messages, stop_at),
        *(come_and_go(pipeline, worker, chance, stop_at) for worker in list(pipeline.workers)),
    )
    for worker in pipeline.workers[:2]:
        worker.start(wait=False)
    await pipeline.reach(messages, "accepted", "limited", seconds=60)
    await pipeline.end_workers()
    books = await audit(pipeline, messages)
    assert books.places.total() == len(messages) >= SECONDS * RATE / 2
    assert books.places["accepted"] > books.places["limited"]
    assert books.most_texts == 1


async def keep_publishing(pipeline: Pipeline, messages: list[SendCode], stop_at: float) -> None:
    while time.monotonic() < stop_at:
        messages += await pipeline.publish(RATE // 10)
        await asyncio.sleep(0.1)


async def come_and_go(pipeline: Pipeline, worker: Process, chance: random.Random, stop_at: float) -> None:
    """Stop or kill a worker now and then, and start it again."""
    while time.monotonic() < stop_at:
        await asyncio.sleep(chance.uniform(1.5, 5))
        if chance.random() < 0.5:
            await pipeline.kill(worker)
        else:
            await asyncio.to_thread(worker.stop)
        worker.env["SMS_PORT"] = str(free_port())
        worker.start(wait=False)
    await asyncio.to_thread(worker.stop)
