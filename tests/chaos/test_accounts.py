"""Accounts and their events while the auth service is killed, and its connections are."""

import asyncio
import itertools
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue

from deploy.local.servers import Servers
from services.auth.db.database import Database
from shared.contracts.events import EVENTS_EXCHANGE, ProfileChanged, UserRegistered, decode_event
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, Phone, new_mobile
from tests.support.system import System

MOBILES = 120
QUEUE = "tests.changes"
Harm = Callable[[System, Database], Awaitable[None]]


@pytest.fixture
async def told(servers: Servers) -> AsyncIterator[AbstractQueue]:
    """A queue that gets every registration, as a consumer's does."""
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "user.registered")
        yield queue


async def kill_the_process(system: System, _: Database) -> None:
    await asyncio.to_thread(system.auth.stop, signal.SIGKILL)
    await asyncio.to_thread(system.auth.start)


async def kill_its_connections(_: System, database: Database) -> None:
    rows = await database.fetch_all(
        "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = DATABASE()", ()
    )
    for (connection,) in random.sample(rows, len(rows) // 2):
        await database.fetch_one(f"KILL {connection}", ())


@pytest.mark.filterwarnings("ignore:'INFORMATION_SCHEMA.PROCESSLIST' is deprecated")  # MySQL's
@pytest.mark.parametrize("harm", [kill_the_process, kill_its_connections])
async def test_there_is_an_event_and_an_entry_for_each_account_and_no_other(
    own_system: System,
    own_api: Api,
    own_phone: Phone,
    database: Database,
    told: AbstractQueue,
    harm: Harm,
) -> None:
    before = await store_account(database, new_mobile())  # events of other tests may come late
    mobiles = [new_mobile() for _ in range(MOBILES)]
    await asyncio.gather(*(own_api.post("/code/", {"mobile": mobile}) for mobile in mobiles))
    codes = {mobile: await own_phone.code(mobile) for mobile in mobiles}
    done = asyncio.Event()
    harming = asyncio.create_task(repeat(harm, own_system, database, done))
    waiting = asyncio.Semaphore(8)
    statuses = Counter(
        await asyncio.gather(*(insist(own_api, mobile, codes[mobile], waiting) for mobile in mobiles))
    )
    done.set()
    await harming
    accounts = await ids(database, f"SELECT id FROM users WHERE mobile IN ({placeholders(mobiles)})", mobiles)
    assert len(accounts) >= statuses[200] > 0
    entries = await ids(
        database,
        "SELECT user_id FROM audit WHERE action = 'user.registered' AND user_id IN "
        f"(SELECT id FROM users WHERE mobile IN ({placeholders(mobiles)}))",
        mobiles,
    )
    assert sorted(entries) == sorted(accounts)
    events = [event for event in (await receive(told, accounts)).values() if event.user_id > before]
    assert Counter(event.user_id for event in events) == Counter(accounts)
    assert {event.mobile for event in events} <= {f"139****{mobile[-4:]}" for mobile in mobiles}


async def repeat(harm: Harm, system: System, database: Database, done: asyncio.Event) -> None:
    """Do harm again and again, ever more rarely: a busy machine needs longer for an answer."""
    for times in itertools.count():
        await asyncio.sleep(random.uniform(0.05, 0.4) * (1 + times / 20))
        if done.is_set():
            return
        await harm(system, database)


async def insist(api: Api, mobile: str, code: str, waiting: asyncio.Semaphore) -> int:
    """Register until there is an answer that is one; what is left half done shows afterwards.

    On a busy machine a process that starts again and again answers a small part of the time.
    """
    body = {"mobile": mobile, "code": code, "password": PASSWORD}
    for _ in range(400):
        async with waiting:
            status = (await api.post("/register/", body)).status
        if status < 500:
            return status
        await asyncio.sleep(0.1)
    raise AssertionError("no answer")


async def ids(database: Database, sql: str, values: list[str]) -> list[int]:
    return [row[0] for row in await database.fetch_all(sql, values)]


def placeholders(values: list[str]) -> str:
    return ", ".join(["%s"] * len(values))


async def receive(queue: AbstractQueue, accounts: list[int]) -> dict[str, UserRegistered]:
    """Return the events by their ids once every account has one, and whatever else comes then."""
    events: dict[str, UserRegistered] = {}
    patience = 30.0
    while (message := await queue.get(no_ack=True, fail=False, timeout=5)) or patience > 0:
        if message is None:
            complete = {event.user_id for event in events.values()} >= set(accounts)
            patience = min(patience, 1.0) if complete else patience
            patience -= 0.1
            await asyncio.sleep(0.1)
            continue
        event = decode_event(message.type, message.body)
        assert isinstance(event, UserRegistered)
        events[event.event_id] = event
    return events


async def test_events_wait_for_a_broker_that_is_down_and_then_come_in_order(
    own_system: System, own_api: Api, servers: Servers, database: Database
) -> None:
    mobile = new_mobile()
    user_id = await store_account(database, mobile)
    token = (await own_api.post("/login/", {"mobile": mobile, "password": PASSWORD}))["token"]
    await declare_durable(servers)
    await asyncio.to_thread(servers.rabbitmq.stop)
    headers = {"Authorization": f"Bearer {token}"}
    changes: list[dict[str, str]] = [{"nickname": f"name {number}"} for number in range(20)]
    for change in [*changes, {"avatar": "https://example.com/a.png"}]:
        assert (await own_api.call("PATCH", "/me/", change, headers=headers)).status == 200
    await asyncio.to_thread(servers.rabbitmq.start)
    members = await receive_changes(servers, user_id, wanted=21)
    assert members == [["nickname"]] * 20 + [["avatar"]]


async def declare_durable(servers: Servers) -> None:
    """Declare a queue that outlives the broker's process."""
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(exchange, "profile.changed")


async def receive_changes(servers: Servers, user_id: int, wanted: int) -> list[list[str]]:
    """Return what the events of a user say was changed, copies left out, and remove the queue."""
    changes: dict[str, list[str]] = {}
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(QUEUE)
        async with asyncio.timeout(60), queue.iterator(no_ack=True) as messages:
            async for message in messages:
                event = decode_event(message.type, message.body)
                assert isinstance(event, ProfileChanged)
                if event.user_id == user_id:
                    changes.setdefault(event.event_id, list(event.members))
                if len(changes) == wanted:
                    break
        await queue.delete(if_unused=False, if_empty=False)
    return list(changes.values())
