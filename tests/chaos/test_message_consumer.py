"""Consuming on the real broker: when, how much, and what is done about a consumer that vanishes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from aio_pika.abc import AbstractIncomingMessage

from services.sms.messaging.consumer import MessageConsumer, WatchdogSettings
from services.sms.messaging.publisher import MessagePublisher
from services.sms.provider.circuit_breaker import AccountChannel, AccountCircuits, CircuitBreaker
from services.sms.provider.spend_cap import SpendCap
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.observability.metrics import ProviderMetrics, SmsMetrics, new_registry
from tests.support.pipeline import DELAYS, Pipeline, until
from tests.support.proxies import TcpProxy

QUICK = WatchdogSettings(interval=0.2, grace=1.0)
CHANNEL = AccountChannel("main", "sms")


@dataclass
class ConsumerHarness:
    """A consumer whose messages are acknowledged when the test sets `go`."""

    pipeline: Pipeline
    consumer: MessageConsumer
    circuits: AccountCircuits
    breaker: CircuitBreaker
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

    async def open_circuit(self, *, half_open: bool = False) -> None:
        await self.circuits.open(CHANNEL, "5")
        if half_open:
            self.circuits.half_open(CHANNEL)
        self.breaker.refresh()

    async def close_circuit(self) -> None:
        await self.circuits.close(CHANNEL)
        self.breaker.refresh()


@asynccontextmanager
async def consuming(
    pipeline: Pipeline,
    handle: Callable[[AbstractIncomingMessage], Awaitable[None]] | None = None,
    url: str = "",
) -> AsyncIterator[ConsumerHarness]:
    held: list[AbstractIncomingMessage] = []
    go = asyncio.Event()

    async def hold(message: AbstractIncomingMessage) -> None:
        held.append(message)
        await go.wait()
        await message.ack()

    registry = new_registry()
    provider_metrics = ProviderMetrics(registry)
    circuits = AccountCircuits(pipeline.redis, [CHANNEL], provider_metrics)
    spend_cap = SpendCap(pipeline.redis, Decimal(0), Decimal("0.05"), provider_metrics)
    breaker = CircuitBreaker(circuits, spend_cap, provider_metrics)
    urls = [url or pipeline.servers.rabbitmq.url]
    publisher = MessagePublisher(DELAYS)
    consumer = MessageConsumer(urls, handle or hold, publisher, breaker, 4, SmsMetrics(registry), QUICK)
    consumer.start()
    try:
        yield ConsumerHarness(pipeline, consumer, circuits, breaker, held, go)
    finally:
        await consumer.close()


async def test_as_many_messages_are_fetched_as_may_be_in_work(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await pipeline.publish(10)
        await at.holds(4)
        await asyncio.sleep(0.3)
        assert (len(at.held), at.consumer.in_flight()) == (4, 4)
        at.go.set()
        await at.holds(10)


async def test_nothing_is_consumed_while_the_breaker_is_open(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        await at.open_circuit()
        await at.consumers(0)
        await pipeline.publish(3)
        await asyncio.sleep(0.5)
        assert at.held == []
        assert at.consumer.alive()
        await at.close_circuit()
        await at.holds(3)


async def test_one_message_is_consumed_while_the_breaker_is_half_open(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        await at.open_circuit(half_open=True)
        await asyncio.sleep(0.5)
        await pipeline.publish(3)
        await at.holds(1)
        await asyncio.sleep(0.3)
        assert len(at.held) == 1


async def test_a_consumer_that_vanished_without_a_notice_comes_back(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        assert at.consumer.queue is not None
        assert at.consumer.consumer_tag is not None
        await at.consumer.queue.cancel(at.consumer.consumer_tag)
        await pipeline.publish()
        await at.holds(1)
        assert at.consumer.alive()


async def test_liveness_fails_while_the_consumer_cannot_be_set_up(pipeline: Pipeline) -> None:
    async with consuming(pipeline) as at:
        await at.consumers(1)
        async with pipeline.channel() as channel:
            await channel.queue_delete(SEND_CODE_QUEUE)
            await channel.declare_queue(SEND_CODE_QUEUE, durable=False, auto_delete=False)

        async def dead() -> bool:
            return not at.consumer.alive()

        async def alive() -> bool:
            return at.consumer.alive()

        await until(dead)
        async with pipeline.channel() as channel:
            await channel.queue_delete(SEND_CODE_QUEUE)
        await until(alive)
        await at.consumers(1)


async def test_liveness_does_not_depend_on_the_broker(pipeline: Pipeline) -> None:
    broker = pipeline.servers.rabbitmq.url
    async with TcpProxy(broker) as network, consuming(pipeline, url=network.url_through) as at:
        await at.consumers(1)
        network.refuse()
        await asyncio.sleep(3 * QUICK.grace)
        assert not at.consumer.link.up
        assert at.consumer.alive()
        network.release()
        await at.consumers(1)


async def test_a_crash_of_the_handler_requeues_its_message(
    pipeline: Pipeline,
) -> None:
    seen: list[bool] = []

    async def crash_once(message: AbstractIncomingMessage) -> None:
        seen.append(bool(message.redelivered))
        if len(seen) == 1:
            raise ZeroDivisionError
        await message.ack()

    async with consuming(pipeline, crash_once) as at:
        await at.consumers(1)
        await pipeline.publish()

        async def twice() -> bool:
            return seen == [False, True]

        await until(twice)
        assert at.consumer.link.up


async def test_acknowledging_other_messages_leaves_an_unsettled_one_unsettled(pipeline: Pipeline) -> None:
    taken: list[str] = []

    async def all_but_the_third(message: AbstractIncomingMessage) -> None:
        taken.append(message.message_id or "")
        if len(taken) == 3:
            await asyncio.Event().wait()
        await message.ack()

    async with consuming(pipeline, all_but_the_third) as at:
        await at.consumers(1)
        published = await pipeline.publish(12)

        async def all_taken() -> bool:
            return len(taken) == len(published)

        await until(all_taken)
        await asyncio.sleep(0.3)
        assert at.consumer.link.up  # the broker closes a channel for a wrong delivery tag
    async with consuming(pipeline) as after:
        await after.holds(1)
        await asyncio.sleep(0.3)
        assert [message.message_id for message in after.held] == [taken[2]]
        assert after.held[0].redelivered
