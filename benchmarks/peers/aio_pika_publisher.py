"""Bare aio-pika: confirmed, persistent, mandatory publishing to a quorum queue, with messages in flight.

`python -m benchmarks.peers.aio_pika_publisher URL QUEUE IN_FLIGHT BYTES SECONDS` prints messages per second.
"""

import asyncio
import os
import sys
import time

import aio_pika
import uvloop


async def main(url: str, queue: str, in_flight: int, size: int, seconds: float) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        body = os.urandom(size)
        published = 0
        began = time.perf_counter()

        async def publish_on() -> None:
            nonlocal published
            while time.perf_counter() < began + seconds:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(message, queue, mandatory=True)
                published += 1

        await asyncio.gather(*(publish_on() for _ in range(in_flight)))
        print(published / (time.perf_counter() - began))
        await (await channel.get_queue(queue)).delete(if_empty=False, if_unused=False)


if __name__ == "__main__":
    url, queue, in_flight, size, seconds = sys.argv[1:]
    uvloop.run(main(url, queue, int(in_flight), int(size), float(seconds)))
