"""The rights of the broker's users: the services work with their own, and can do nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from deploy.local.servers import Servers
from shared.amqp.topology import DEAD_QUEUE, SEND_CODE_QUEUE, SMS_EXCHANGE
from shared.clock import now
from shared.contracts.events import EVENTS_EXCHANGE
from shared.contracts.messages import SendCode
from tests.support.client import Api, Phone, log_in, new_mobile, sign_up
from tests.support.pipeline import new_queue
from tests.support.system import System, make_system

Act = Callable[[AbstractChannel], Awaitable[object]]
# A minute is enough for connections that are set up anew every two seconds.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(name="system")
def _system(servers: Servers, mysql_url: str, tmp_path: Path) -> System:
    """A system whose services have their own users, on the virtual host of the definitions."""
    system = make_system(servers, mysql_url, tmp_path)
    for process, user in ((system.auth, "auth"), (system.sms, "sms")):
        process.env["AMQP_URL"] = servers.rabbitmq.url_of(user)
    return system


@asynccontextmanager
async def channel_of(servers: Servers, user: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(servers.rabbitmq.url_of(user))
    async with connection:
        yield await connection.channel(publisher_confirms=True)


async def test_a_sign_up_and_its_events_work_with_these_rights(
    servers: Servers, system: System, session: object
) -> None:
    with system.running():
        async with channel_of(servers, "events") as channel:
            exchange = await channel.get_exchange(EVENTS_EXCHANGE)
            queue = await channel.declare_queue("events.test", exclusive=True)
            await queue.bind(exchange, "user.*")
            api, phone = Api(session, system.url), Phone(session, system.simulator_url)  # type: ignore[arg-type]
            mobile = new_mobile()
            await sign_up(api, phone, mobile)
            await log_in(api, mobile)
            await _wait_for(queue, "user.registered.v1", mobile[-4:])
    assert "ACCESS_REFUSED" not in system.logs()


async def _wait_for(queue: aio_pika.abc.AbstractQueue, event_type: str, part: str) -> None:
    """Wait for an event of a type; its database has events of other tests, too."""
    async with asyncio.timeout(20), queue.iterator(no_ack=True) as messages:
        async for message in messages:
            if message.type == event_type and part.encode() in message.body:
                return


async def test_auth_publishes_once_a_worker_has_declared_the_queues(servers: Servers, system: System) -> None:
    system.sms.start(wait=True)
    queue = new_queue(servers.rabbitmq.url_of("auth"))
    message = SendCode(
        message_id="rights", mobile=new_mobile(), code="123456", purpose="login", created_at=now(),
        expires_at=now() - timedelta(minutes=1),
    )  # fmt: skip
    async with asyncio.timeout(20):
        await queue.link.wait_up()
        await queue.publish(message)
    await queue.link.close()
    system.sms.stop()


def publish_to(exchange: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(aio_pika.Message(b"{}"), "any")

    return act


def get_from(queue: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).get(fail=False)

    return act


def declare(queue: str) -> Act:
    return lambda channel: channel.declare_queue(queue, exclusive=True)


def bind(queue: str, exchange: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await channel.declare_queue(queue, exclusive=True)
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, "#")

    return act


def delete(queue: str) -> Act:
    return lambda channel: channel.queue_delete(queue)


FORBIDDEN: list[tuple[str, str, Act]] = [
    ("auth", "reading messages", get_from(SEND_CODE_QUEUE)),
    ("auth", "reading dead letters", get_from(DEAD_QUEUE)),
    ("auth", "other queues", declare("mine")),
    ("auth", "other exchanges", publish_to("amq.topic")),
    ("sms", "events", publish_to(EVENTS_EXCHANGE)),
    ("sms", "other queues", declare("mine")),
    ("sms", "listening to events", bind("sms.mine", EVENTS_EXCHANGE)),
    ("events", "sending texts", publish_to(SMS_EXCHANGE)),
    ("events", "inventing events", publish_to(EVENTS_EXCHANGE)),
    ("events", "reading messages", get_from(SEND_CODE_QUEUE)),
    ("events", "reading dead letters", get_from(DEAD_QUEUE)),
    ("events", "listening to messages", bind("events.mine", SMS_EXCHANGE)),
    ("events", "deleting queues", delete(SEND_CODE_QUEUE)),
    ("events", "other queues", declare("mine")),
    ("monitor", "sending texts", publish_to(SMS_EXCHANGE)),
    ("monitor", "reading messages", get_from(SEND_CODE_QUEUE)),
    ("monitor", "queues", declare("mine")),
]


@pytest.mark.parametrize(
    ("user", "act"),
    [(user, act) for user, _, act in FORBIDDEN],
    ids=[f"{user}: {what}" for user, what, _ in FORBIDDEN],
)
async def test_a_user_cannot_do_what_it_has_no_reason_to(servers: Servers, user: str, act: Act) -> None:
    await _declare_all(servers)
    async with channel_of(servers, user) as channel:
        with pytest.raises(ChannelAccessRefused):
            await act(channel)


async def _declare_all(servers: Servers) -> None:
    queue = new_queue(servers.rabbitmq.url)
    await queue.link.wait_up()
    await queue.link.close()
    async with channel_of(servers, "dialpass") as channel:
        await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
