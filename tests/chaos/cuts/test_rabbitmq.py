"""RabbitMQ behind a proxy that cuts: nothing but our own failures, and the link comes back by itself."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from redis.asyncio import Redis

from deploy.local.servers import Servers
from services.auth.codes.publisher import SendCodePublisher
from services.auth.errors import SmsUnavailable
from services.auth.outbox.publisher import EventPublisher
from services.auth.outbox.repository import StoredEvent
from services.sms.messaging.consumer import MessageConsumer
from services.sms.messaging.publisher import MessagePublisher
from services.sms.provider.circuit_breaker import AccountCircuits, CircuitBreaker
from services.sms.provider.spend_cap import SpendCap
from shared.amqp.connection import AmqpLink
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.clock import now
from shared.contracts.messages import SendCode
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics, ProviderMetrics, SmsMetrics, new_registry
from shared.security.sealing import Sealer
from tests.chaos.cuts.conftest import places
from tests.support.client import eventually, new_mobile
from tests.support.cut_after import CutAfter, How
from tests.support.pipeline import DELAYS
from tests.support.proxies import Direction

_BACK_SECONDS = 10


def new_message() -> SendCode:
    return SendCode(
        message_id=secrets.token_hex(16), mobile=new_mobile(), code="123456", purpose="login",
        created_at=now(), expires_at=now() + timedelta(minutes=10),
    )  # fmt: skip


@pytest.fixture
async def proxy(servers: Servers) -> AsyncIterator[CutAfter]:
    async with CutAfter(servers.rabbitmq.url) as proxy:
        yield proxy


@pytest.fixture
async def queue(servers: Servers, proxy: CutAfter) -> AsyncIterator[SendCodePublisher]:
    publisher = SendCodePublisher([proxy.url], Sealer(["of the tests"]), AuthMetrics(new_registry()))
    publisher.link.start()
    await back(publisher.link)
    yield publisher
    await publisher.link.close()
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        await (await (await connection.channel()).get_queue(SEND_CODE_QUEUE)).purge()


@pytest.fixture
async def events(proxy: CutAfter) -> AsyncIterator[EventPublisher]:
    publisher = EventPublisher([proxy.url], AuthMetrics(new_registry()))
    publisher.link.start()
    await back(publisher.link)
    yield publisher
    await publisher.link.close()


async def back(link: AmqpLink) -> None:
    assert link.running
    async with asyncio.timeout(_BACK_SECONDS):
        await link.wait_up()


async def publish(queue: SendCodePublisher) -> bool:
    """Return whether a message is stored; any error but ours fails the test."""
    try:
        await queue.publish(new_message())
    except SmsUnavailable:
        return False
    return True


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_message_that_is_cut_is_unavailable_and_the_next_one_is_stored(
    proxy: CutAfter, queue: SendCodePublisher, direction: Direction, how: How
) -> None:
    before = proxy.passed[direction]
    assert await publish(queue)
    for after in places(proxy.passed[direction] - before, most=700):
        proxy.arm(direction, after, how)
        await publish(queue)
        await back(queue.link)
        proxy.disarm()
        assert await publish(queue)


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_connection_that_is_cut_while_it_is_set_up_is_opened_again(
    proxy: CutAfter, queue: SendCodePublisher, direction: Direction, how: How
) -> None:
    before = proxy.passed[direction]
    await proxy.cut_all("reset")
    assert await publish(queue)
    for after in places(proxy.passed[direction] - before, most=700):
        await proxy.cut_all("reset")
        proxy.arm(direction, after, how)
        await publish(queue)
        await back(queue.link)
        proxy.disarm()
        assert await publish(queue)


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_messages_of_many_callers_end_at_once_when_the_connection_does(
    proxy: CutAfter, queue: SendCodePublisher, how: How
) -> None:
    for _ in range(10):
        messages = [asyncio.create_task(publish(queue)) for _ in range(50)]
        await asyncio.sleep(0.005)
        await proxy.cut_all(how)
        async with asyncio.timeout(_BACK_SECONDS):
            await asyncio.gather(*messages)
        await back(queue.link)
        assert await publish(queue)


@pytest.mark.long
async def test_a_silent_broker_is_unavailable_for_whoever_waits(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After lost heartbeats, aiormq raises a `CancelledError` to all that wait."""
    monkeypatch.setattr("shared.amqp.connection._HEARTBEAT_SECONDS", 1)
    async with CutAfter(servers.rabbitmq.url) as proxy:
        publisher = EventPublisher([proxy.url], AuthMetrics(new_registry()))
        publisher.link.start()
        await back(publisher.link)
        proxy.hold()

        async def publish_after(seconds: float) -> None:
            await asyncio.sleep(seconds)
            with pytest.raises(Unavailable):
                await publisher.publish(new_event())

        # The connection ends while some of them wait.
        await asyncio.gather(*(publish_after(seconds / 2) for seconds in range(20)))
        proxy.release()
        await back(publisher.link)
        await publisher.publish(new_event())
        await publisher.link.close()


def new_event() -> StoredEvent:
    return StoredEvent(1, 1, secrets.token_hex(16), "user.registered.v1", "{}", "request", now())


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_an_event_that_is_cut_is_unavailable_and_the_next_one_is_stored(
    proxy: CutAfter, events: EventPublisher, direction: Direction, how: How
) -> None:
    before = proxy.passed[direction]
    await events.publish(new_event())
    for after in places(proxy.passed[direction] - before, most=700):
        proxy.arm(direction, after, how)
        try:
            await events.publish(new_event())
        except Unavailable:
            await back(events.link)
        proxy.disarm()
        await events.publish(new_event())


class Worker:
    """A consumer behind the proxy; it notes what it has acknowledged."""

    def __init__(self, proxy: CutAfter, redis: Redis) -> None:
        self.done: set[str] = set()
        metrics = ProviderMetrics(new_registry())
        circuits = AccountCircuits(redis, [], metrics)
        breaker = CircuitBreaker(circuits, SpendCap(redis, Decimal(0), Decimal("0.05"), metrics), metrics)
        breaker.reason = ""
        self.consumer = MessageConsumer(
            [proxy.url], self._handle, MessagePublisher(DELAYS), breaker, 4, SmsMetrics(new_registry())
        )

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        self.done.add(message.message_id or "")
        await message.ack()

    async def until_done(self, message: SendCode) -> None:
        await eventually(lambda: message.message_id in self.done, _BACK_SECONDS, poll=0.005)


@asynccontextmanager
async def consuming(proxy: CutAfter, redis: Redis) -> AsyncIterator[Worker]:
    worker = Worker(proxy, redis)
    worker.consumer.start()
    await back(worker.consumer.link)
    yield worker
    await worker.consumer.close()


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_message_whose_delivery_or_ack_is_cut_is_handled(
    servers: Servers, redis: Redis, direction: Direction, how: How
) -> None:
    queue = SendCodePublisher([servers.rabbitmq.url], Sealer(["of the tests"]), AuthMetrics(new_registry()))
    queue.link.start()
    async with CutAfter(servers.rabbitmq.url) as proxy, consuming(proxy, redis) as worker:

        async def handle_one() -> None:
            message = new_message()
            await queue.publish(message)
            await worker.until_done(message)

        before = proxy.passed[direction]
        await handle_one()
        await asyncio.sleep(0.1)
        for after in places(proxy.passed[direction] - before, most=700):
            proxy.arm(direction, after, how)
            await handle_one()
            proxy.disarm()
            await handle_one()
        assert worker.consumer.alive()
        await eventually(lambda: worker.consumer.in_flight() == 0)
    await queue.link.close()
