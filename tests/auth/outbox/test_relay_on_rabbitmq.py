"""Domain events from the outbox on MariaDB to queues on RabbitMQ."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from deploy.local.mariadb import DATABASE
from deploy.local.servers import Servers
from services.auth.db.database import Database, lock_name
from services.auth.outbox.publisher import EventPublisher
from services.auth.outbox.relay import Relay
from services.auth.outbox.repository import OutboxRepository
from shared.clock import now
from shared.contracts.events import EVENTS_EXCHANGE, MobileChanged, UserDeleted, decode_event
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.tasks import cancel
from tests.support.clock import NOW

_users = count(10**9)


@pytest.fixture
async def queue(servers: Servers) -> AsyncIterator[AbstractQueue]:
    """A queue of the test's own, bound for everything."""
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        yield queue


@asynccontextmanager
async def relaying(servers: Servers, mysql_url: str, metrics: AuthMetrics) -> AsyncIterator[Relay]:
    """A relay at work, with connections of its own, as in each replica."""
    async with AsyncExitStack() as stack:
        database = Database(mysql_url, pool_size=1)
        stack.push_async_callback(database.close)
        exchange = EventPublisher([servers.rabbitmq.url], metrics)
        stack.push_async_callback(exchange.link.close)
        exchange.link.start()
        outbox = OutboxRepository(database)
        relay = Relay(outbox, outbox, exchange, now, metrics)
        stack.push_async_callback(cancel, asyncio.create_task(relay.run()))
        yield relay


async def record(database: Database, user_id: int, number: int) -> None:
    async with database.transaction():
        await OutboxRepository(database).add(
            MobileChanged(user_id=user_id, occurred_at=NOW, mobile=f"139****{number:04d}")
        )


async def receive(queue: AbstractQueue, users: set[int], wanted: int) -> list[AbstractIncomingMessage]:
    """Return the messages about some users, once there are as many different ones as wanted."""
    messages: list[AbstractIncomingMessage] = []
    async with asyncio.timeout(30), queue.iterator(no_ack=True) as incoming:
        async for message in incoming:
            if decode_event(message.type, message.body).user_id in users:
                messages.append(message)
            if len({message.message_id for message in messages}) == wanted:
                break
    return messages


async def test_an_event_arrives_as_it_was_recorded(
    database: Database, servers: Servers, mysql_url: str, auth_metrics: AuthMetrics, queue: AbstractQueue
) -> None:
    event = UserDeleted(user_id=next(_users), occurred_at=NOW)
    async with relaying(servers, mysql_url, auth_metrics):
        await OutboxRepository(database).add(event)
        [message] = await receive(queue, {event.user_id}, 1)
    assert decode_event(message.type, message.body) == event
    assert (message.message_id, message.routing_key) == (event.event_id, "user.deleted")
    assert (message.delivery_mode, message.content_type) == (2, "application/json")


async def test_with_several_relays_each_users_events_arrive_in_order(
    database: Database, servers: Servers, mysql_url: str, auth_metrics: AuthMetrics, queue: AbstractQueue
) -> None:
    users = {next(_users) for _ in range(8)}

    async def live(user_id: int) -> None:
        for number in range(25):
            await record(database, user_id, number)

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(relaying(servers, mysql_url, auth_metrics))
        await asyncio.gather(*(live(user_id) for user_id in users))
        messages = await receive(queue, users, 200)
    numbers = defaultdict(list)
    for message in messages:
        event = decode_event(message.type, message.body)
        assert isinstance(event, MobileChanged)
        numbers[event.user_id].append(int(event.mobile[-4:]))
    assert all(numbers[user_id] == list(range(25)) for user_id in users)


async def test_another_relay_takes_over_from_one_whose_connection_is_killed(
    database: Database, servers: Servers, mysql_url: str, auth_metrics: AuthMetrics, queue: AbstractQueue
) -> None:
    user_id = next(_users)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(relaying(servers, mysql_url, auth_metrics))
        for number in range(5):
            await record(database, user_id, number)
            await kill_the_lock_holder(database)
        messages = await receive(queue, {user_id}, 5)
    first_copies = list(dict.fromkeys(message.body for message in messages))
    assert [decode_event("mobile.changed.v1", body).model_dump()["mobile"][-1] for body in first_copies] == [
        "0", "1", "2", "3", "4",
    ]  # fmt: skip


async def kill_the_lock_holder(database: Database) -> None:
    """Kill the relay's connection as soon as one has the lock."""
    async for holder in lock_holders(database):
        if holder is not None:
            with suppress(Unavailable):  # the connection ended by itself a moment ago
                await database.fetch_one(f"KILL {holder}", ())
            break


async def lock_holders(database: Database) -> AsyncIterator[int | None]:
    name = lock_name("dialpass.outbox", DATABASE)
    for _ in range(500):
        row = await database.fetch_one("SELECT IS_USED_LOCK(%s)", (name,))
        yield row[0] if row else None
        await asyncio.sleep(0.02)


async def test_what_is_rolled_back_is_not_published(
    database: Database, servers: Servers, mysql_url: str, auth_metrics: AuthMetrics, queue: AbstractQueue
) -> None:
    user_id = next(_users)

    async def fail() -> None:
        async with database.transaction():
            await OutboxRepository(database).add(
                MobileChanged(user_id=user_id, occurred_at=NOW, mobile="139****9999")
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await record(database, user_id, 1)
    async with relaying(servers, mysql_url, auth_metrics):
        [message] = await receive(queue, {user_id}, 1)
    assert b"139****0001" in message.body


async def test_what_waits_is_counted_with_its_age(database: Database) -> None:
    outbox = OutboxRepository(database)
    before = await outbox.backlog()
    await record(database, next(_users), 1)
    after = await outbox.backlog()
    assert after.depth == before.depth + 1
    assert after.oldest is not None
    assert after.oldest <= NOW
