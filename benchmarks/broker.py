"""Filling and purging queues, and measuring the rate at which they are consumed."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import aio_pika
from aio_pika.abc import AbstractChannel

from benchmarks.processes import PATIENCE
from deploy.local.errors import LocalError
from shared.amqp.topology import SEND_CODE_QUEUE, SMS_EXCHANGE, declare_sms_topology

IN_FLIGHT = 64
SAMPLE_SECONDS = 0.02
# The start and the end are excluded: connections are opened, and the last messages are not batched.
BEGUN, ENDING = 0.95, 0.05

Sample = tuple[float, int]


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[AbstractChannel]:
    """Open a channel with confirms, and the topology of the SMS pipeline."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare_sms_topology(channel)
        yield channel


async def fill(url: str, messages: Sequence[aio_pika.Message]) -> None:
    """Publish messages to the worker's queue concurrently; return when all are confirmed."""
    async with channel_to(url) as channel:
        exchange = await channel.get_exchange(SMS_EXCHANGE)
        waiting = iter(messages)

        async def publish_on() -> None:
            for message in waiting:
                await exchange.publish(message, SEND_CODE_QUEUE)

        await asyncio.gather(*(publish_on() for _ in range(IN_FLIGHT)))


async def empty(url: str) -> None:
    """Purge the worker's queue."""
    async with channel_to(url) as channel:
        await (await channel.get_queue(SEND_CODE_QUEUE)).purge()


class QueueSampler:
    """Samples the number of ready messages of a queue over time."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue
        self.samples: list[Sample] = []
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until `stop` is called."""
        asyncio.run(self._sample())

    def stop(self) -> None:
        self._over.set()

    def await_empty(self) -> None:
        """Wait until the queue is empty."""
        deadline = time.monotonic() + PATIENCE
        while not self.samples or self.samples[-1][1]:
            if time.monotonic() > deadline:
                raise LocalError(f"{self._queue} is not consumed: {self.samples[-1:]}")
            time.sleep(SAMPLE_SECONDS)

    def rate(self, total: int, since: float) -> float:
        """Return messages per second since `since`, without the first and last 5 % of the messages."""
        steady = [
            sample
            for sample in self.samples
            if sample[0] >= since and ENDING * total <= sample[1] <= BEGUN * total
        ]
        if len(steady) < 5:
            raise LocalError("too few messages to measure a rate: they were consumed before it was steady")
        (began, first), (ended, last) = steady[0], steady[-1]
        return (first - last) / (ended - began)

    async def _sample(self) -> None:
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            while not self._over.is_set():
                declared = await channel.declare_queue(self._queue, passive=True)
                count = declared.declaration_result.message_count or 0
                self.samples.append((time.perf_counter(), count))
                await asyncio.sleep(SAMPLE_SECONDS)


@contextmanager
def watching(url: str, queue: str) -> Iterator[QueueSampler]:
    """Sample a queue in the background for the block's time."""
    sampler = QueueSampler(url, queue)
    thread = threading.Thread(target=sampler.run, daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        sampler.stop()
        thread.join()
