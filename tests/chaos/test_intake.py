"""When messages are taken from the queue, and how it is noticed that none are, on the real broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aio_pika.abc import AbstractIncomingMessage

from services.sms.messaging.consumer import Intake, Vigilance
from services.sms.messaging.publisher import Outlet
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.observability.metrics import SmsMetrics, new_registry
from tests.support.pipeline import DELAYS, Pipeline, until
from tests.support.proxies import TcpProxy

QUICK = Vigilance(interval=0.2, patience=1.0)


@dataclass
class SwitchedBreaker:
    """A breaker that the test switches."""

    closed: bool = True
    probing: bool = False
    reason: str = ""
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def on_change(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def switch(self, *, closed: bool, probing: bool = False) -> None:
        self.closed, self.probing = closed, probing
        for callback in self.callbacks:
            callback()


@dataclass
class Bench:
    """An intake whose messages are acknowledged when the test lets them go."""

    pipeline: Pipeline
    intake: Intake
    breaker: SwitchedBreaker
    held: list[AbstractIncomingMessage]
    go: asyncio.Event

    async def consumers(self, number: int) -> None:
        async def there() -> bool:
            return (await self.pipeline.depth())[1] == number

        await until(there)

    async def holds(self, number: int) -> None:
        async def there() -> bool:
            return len(self.held) >= number

        await until(there)


@asynccontextmanager
async def bench(
    pipeline: Pipeline,
    handle: Callable[[AbstractIncomingMessage], Awaitable[None]] | None = None,
    url: str = "",
) -> AsyncIterator[Bench]:
    held: list[AbstractIncomingMessage] = []
    go, breaker = asyncio.Event(), SwitchedBreaker()

    async def hold(message: AbstractIncomingMessage) -> None:
        held.append(message)
        await go.wait()
        await message.ack()

    urls = [url or pipeline.servers.rabbitmq.url]
    metrics = SmsMetrics(new_registry())
    intake = Intake(urls, handle or hold, Outlet(DELAYS), breaker, 4, metrics, QUICK)
    intake.start()
    try:
        yield Bench(pipeline, intake, breaker, held, go)
    finally:
        await intake.close()


async def test_as_many_are_fetched_as_are_worked_on_at_once(pipeline: Pipeline) -> None:
    async with bench(pipeline) as at:
        await pipeline.publish(10)
        await at.holds(4)
        await asyncio.sleep(0.3)
        assert (len(at.held), at.intake.in_flight()) == (4, 4)
        at.go.set()
        await at.holds(10)


async def test_nothing_is_consumed_while_the_breaker_is_open(pipeline: Pipeline) -> None:
    async with bench(pipeline) as at:
        await at.consumers(1)
        at.breaker.switch(closed=False)
        await at.consumers(0)
        await pipeline.publish(3)
        await asyncio.sleep(0.5)
        assert at.held == []
        assert at.intake.alive()
        at.breaker.switch(closed=True)
        await at.holds(3)


async def test_one_message_is_consumed_while_the_breaker_probes(pipeline: Pipeline) -> None:
    async with bench(pipeline) as at:
        await at.consumers(1)
        at.breaker.switch(closed=False, probing=True)
        await asyncio.sleep(0.5)
        await pipeline.publish(3)
        await at.holds(1)
        await asyncio.sleep(0.3)
        assert len(at.held) == 1


async def test_a_consumer_that_vanished_silently_is_missed_and_comes_back(pipeline: Pipeline) -> None:
    async with bench(pipeline) as at:
        await at.consumers(1)
        assert at.intake._queue is not None
        assert at.intake._tag is not None
        await at.intake._queue.cancel(at.intake._tag)
        await pipeline.publish()
        await at.holds(1)
        assert at.intake.alive()


async def test_liveness_fails_while_consuming_does_not_come_back(pipeline: Pipeline) -> None:
    async with bench(pipeline) as at:
        await at.consumers(1)
        async with pipeline.channel() as channel:
            await channel.queue_delete(SEND_CODE_QUEUE)
            await channel.declare_queue(SEND_CODE_QUEUE, durable=False, auto_delete=False)

        async def dead() -> bool:
            return not at.intake.alive()

        async def alive() -> bool:
            return at.intake.alive()

        await until(dead)
        async with pipeline.channel() as channel:
            await channel.queue_delete(SEND_CODE_QUEUE)
        await until(alive)
        await at.consumers(1)


async def test_liveness_does_not_depend_on_the_broker(pipeline: Pipeline) -> None:
    broker = pipeline.servers.rabbitmq.url
    async with TcpProxy(broker) as network, bench(pipeline, url=network.url_through) as at:
        await at.consumers(1)
        network.refuse()
        await asyncio.sleep(3 * QUICK.patience)
        assert not at.intake.link.up
        assert at.intake.alive()
        network.release()
        await at.consumers(1)


async def test_a_handler_that_crashes_gives_its_message_back_and_disturbs_no_other(
    pipeline: Pipeline,
) -> None:
    seen: list[bool] = []

    async def crash_once(message: AbstractIncomingMessage) -> None:
        seen.append(bool(message.redelivered))
        if len(seen) == 1:
            raise ZeroDivisionError
        await message.ack()

    async with bench(pipeline, crash_once) as at:
        await at.consumers(1)
        await pipeline.publish()

        async def twice() -> bool:
            return seen == [False, True]

        await until(twice)
        assert at.intake.link.up


async def test_what_is_acknowledged_beside_an_open_message_leaves_that_one_open(pipeline: Pipeline) -> None:
    taken: list[str] = []

    async def all_but_the_third(message: AbstractIncomingMessage) -> None:
        taken.append(message.message_id or "")
        if len(taken) == 3:
            await asyncio.Event().wait()
        await message.ack()

    async with bench(pipeline, all_but_the_third) as at:
        await at.consumers(1)
        published = await pipeline.publish(12)

        async def all_taken() -> bool:
            return len(taken) == len(published)

        await until(all_taken)
        await asyncio.sleep(0.3)
        assert at.intake.link.up  # the broker closes a channel on which a number is wrong
    async with bench(pipeline) as after:
        await after.holds(1)
        await asyncio.sleep(0.3)
        assert [message.message_id for message in after.held] == [taken[2]]
        assert after.held[0].redelivered
