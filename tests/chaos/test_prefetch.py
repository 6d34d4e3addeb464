"""Messages fetched ahead of a free slot, on the real broker: they wait, or are given back in order."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aio_pika.abc import AbstractIncomingMessage

from tests.chaos.test_message_consumer import ConsumerHarness, consuming
from tests.support.pipeline import Pipeline, until
from tests.support.proxies import TcpProxy

SLOTS, AHEAD = 4, 1  # of the harness


async def publish_in_order(pipeline: Pipeline, count: int) -> list[str]:
    ids = []
    for _ in range(count):
        [message] = await pipeline.publish()
        ids.append(message.message_id)
    return ids


async def until_ready(pipeline: Pipeline, count: int) -> None:
    async def ready() -> bool:
        return (await pipeline.depth())[0] == count

    await until(ready)


def ids(at: ConsumerHarness) -> list[str | None]:
    return [message.message_id for message in at.held]


async def test_some_messages_are_fetched_ahead_and_no_more(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        await pipeline.publish(20)
        await at.holds(SLOTS)
        await until_ready(pipeline, 20 - SLOTS - AHEAD)
        assert at.consumer.in_flight() == SLOTS
        at.go.set()
        await at.holds(20)


async def test_a_worker_that_stops_gives_them_back_in_their_order(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        published = await publish_in_order(pipeline, 12)
        await at.holds(SLOTS)
        await until_ready(pipeline, 12 - SLOTS - AHEAD)

        await at.consumer.stop()

        await until_ready(pipeline, 12 - SLOTS)
        assert at.consumer.in_flight() == SLOTS, "a drain waits for these"
        async with consuming(pipeline) as other:
            other.go.set()
            await other.holds(12 - SLOTS)
            assert ids(other) == published[SLOTS:]
        at.go.set()
        await until_ready(pipeline, 0)
        assert ids(at) == published[:SLOTS]


async def test_a_pause_gives_them_back(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        await pipeline.publish(8)
        await until_ready(pipeline, 8 - SLOTS - AHEAD)
        await at.open_circuit()
        await until_ready(pipeline, 8 - SLOTS)
        at.go.set()
        await asyncio.sleep(0.3)
        assert len(at.held) == SLOTS
        await at.close_circuit()
        await at.holds(8)


async def test_one_that_waits_behind_slow_calls_goes_to_another_worker(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as slow:
        await slow.consumers(1)
        await pipeline.publish(SLOTS + AHEAD)
        await slow.holds(SLOTS)
        async with consuming(pipeline) as quick:
            await quick.consumers(2)
            quick.go.set()
            await quick.holds(1)
            assert slow.consumer.in_flight() == SLOTS
            # What the slow worker fetches again comes back, too.
            await pipeline.publish(6)
            await quick.holds(7)
        assert slow.consumer.link.up


async def test_they_are_not_handled_after_their_channel_was_lost(pipeline: Pipeline) -> None:
    broker = pipeline.servers.rabbitmq.url
    async with TcpProxy(broker) as network, consuming(pipeline, url=network.url_through) as at:
        await at.consumers(1)
        await pipeline.publish(SLOTS + AHEAD)
        await at.holds(SLOTS)
        await until_ready(pipeline, 0)
        network.refuse()

        async def down() -> bool:
            return not at.consumer.link.up

        await until(down)
        at.go.set()
        await asyncio.sleep(0.3)
        assert len(at.held) == SLOTS
        network.release()
        await until_ready(pipeline, 0)
        await at.holds(2 * SLOTS + AHEAD)
        first, *others = Counter(ids(at)).most_common()[::-1]
        assert (first[1], {count for _, count in others}) == (1, {2}), "the parked one once"


async def test_one_that_no_worker_has_a_slot_for_is_not_given_back_for_ever(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        await pipeline.publish(SLOTS + AHEAD)
        await at.holds(SLOTS)
        await asyncio.sleep(8)  # given back after 1 second, 2 and 4, and fetched again
        at.go.set()
        await at.holds(SLOTS + AHEAD)
        count = at.held[-1].headers.get("x-delivery-count", 0)
        assert isinstance(count, int)
        assert 1 <= count <= 5


async def test_two_workers_share_a_queue_evenly(pipeline: Pipeline) -> None:
    counts: Counter[str] = Counter()

    def counting(worker: str) -> Callable[[AbstractIncomingMessage], Awaitable[None]]:
        async def handle(message: AbstractIncomingMessage) -> None:
            counts[worker] += 1
            await asyncio.sleep(0.01)
            await message.ack()

        return handle

    async with consuming(pipeline, counting("one")) as one, consuming(pipeline, counting("other")):
        await one.consumers(2)
        await pipeline.publish(300)

        async def done() -> bool:
            return counts.total() == 300

        await until(done)
    assert min(counts.values()) > 100
