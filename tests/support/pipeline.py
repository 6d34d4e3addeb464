"""The SMS pipeline alone: messages published as auth does, workers as processes, a scripted provider."""

import asyncio
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aio_pika
import aiohttp
from redis.asyncio import Redis

from deploy.local.ports import free_port
from deploy.local.redis import Redis as RedisServer
from deploy.local.servers import Servers
from services.auth.codes.publisher import SendCodePublisher
from services.auth.errors import SmsUnavailable
from services.sms.delivery.repository import MessageRepository
from shared.amqp.topology import (
    DEAD_QUEUE,
    SEND_CODE_QUEUE,
    declare_sms_topology,
    declare_wait_queues,
    wait_queue,
)
from shared.clock import now
from shared.contracts.message_status import MessageStatus, MessageStatuses
from shared.contracts.messages import SendCode
from shared.observability.metrics import AuthMetrics, new_registry
from shared.redis import client as redis_client
from shared.security.sealing import Sealer
from tests.support.client import new_mobile
from tests.support.provider import KEY, Simulator, running_simulator
from tests.support.system import MESSAGE_SECRET, Process

DELAYS = (0.5, 1.0, 2.0)
WAIT_QUEUES = tuple(wait_queue(delay) for delay in DELAYS)
# A message of unknown outcome is looked up at the provider at once.
LOOK_UP_AT_ONCE = {"SMS_FILTER_WINDOW": "0.01", "SMS_RECORD_LAG": "0.5"}


@dataclass
class Pipeline:
    """Publishes as auth does, and starts and ends workers."""

    servers: Servers
    redis_server: RedisServer
    redis: Redis
    provider: Simulator
    queue: SendCodePublisher
    folder: Path
    workers: list[Process] = field(default_factory=list)
    unconfirmed: list[SendCode] = field(default_factory=list)

    def worker(self, **settings: str) -> Process:
        """Start a worker; `settings` are environment variables."""
        port = free_port()
        env = {
            "REDIS_URL": self.redis_server.url,
            "AMQP_URL": self.servers.rabbitmq.url,
            "MESSAGE_SECRET": MESSAGE_SECRET,
            "SMS_PORT": str(port),
            "SMS_CONCURRENCY": "8",
            "SMS_RETRY_DELAYS": ",".join(map(str, DELAYS)),
            "SMS_RECORD_LAG": "1",
            "YUNPIAN_BASE_URL": self.provider.url,
            "YUNPIAN_API_KEY": KEY,
            "SMS_SIGNATURE": "Dialpass",
            "VOICE_HOURS": "00:00-24:00",
            **settings,
        }
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Process("services.sms", ["serve"], env, log, f"http://127.0.0.1:{port}/readyz")
        worker.start(wait=False)
        self.workers.append(worker)
        return worker

    async def ready_worker(self, **settings: str) -> Process:
        """Start a worker and return once it is ready."""
        worker = self.worker(**settings)
        await asyncio.to_thread(worker.wait_for, 200)
        return worker

    async def kill(self, worker: Process) -> None:
        await asyncio.to_thread(worker.stop, signal.SIGKILL)

    def new_message(self, ttl: float = 600) -> SendCode:
        number = new_mobile()
        return SendCode(
            message_id=secrets.token_hex(16),
            mobile=number,
            code=number[-6:],
            purpose="register",
            created_at=now(),
            expires_at=now() + timedelta(seconds=ttl),
        )

    async def publish(self, count: int = 1, *, ttl: float = 600) -> list[SendCode]:
        """Publish messages as auth does; those that it could not are abandoned, as auth does."""
        messages = [self.new_message(ttl) for _ in range(count)]
        await asyncio.gather(*map(self.hand_over, messages))
        return messages

    async def hand_over(self, message: SendCode) -> bool:
        statuses = MessageStatuses(self.redis)
        await statuses.put(message.message_id, MessageStatus("queued", message.created_at))
        try:
            await self.queue.publish(message)
        except SmsUnavailable:
            await statuses.abandon(message.message_id, now())
            self.unconfirmed.append(message)
            return False
        return True

    async def publish_through(self, url: str) -> None:
        """Publish on a connection to another address from now on."""
        await self.queue.link.close()
        self.queue = new_queue(url)
        await self.queue.link.wait_up()

    async def state(self, message: SendCode) -> str:
        fields = await MessageRepository(self.redis).fields(message.message_id)
        return fields.get("state", "")

    async def reach(self, messages: Sequence[SendCode], *states: str, seconds: float = 30) -> None:
        """Wait until every message has one of the states."""
        deadline = time.monotonic() + seconds
        waiting = list(messages)
        while waiting:
            waiting = [message for message in waiting if await self.state(message) not in states]
            late = [await self.state(message) for message in waiting[:5]]
            assert time.monotonic() < deadline, f"{len(waiting)} still {late}\n{self.logs()[-4000:]}"
            await asyncio.sleep(0.05)

    async def until_texted(self, count: int = 1) -> None:
        """Wait until the provider has accepted so many texts."""

        async def arrived() -> bool:
            return len(await self.provider.inbox()) >= count

        await until(arrived)

    async def until_taken(self) -> None:
        """Wait until every scripted fault has happened."""

        async def happened() -> bool:
            return await self.provider.faults() == []

        await until(happened)

    async def until_empty(self, queue: str = SEND_CODE_QUEUE) -> None:
        """Wait until no message of a queue is ready."""

        async def empty() -> bool:
            return (await self.depth(queue))[0] == 0

        await until(empty)

    async def until_logged(self, line: str) -> None:
        """Wait until a worker has logged something."""

        async def logged() -> bool:
            return line in self.logs()

        await until(logged)

    async def empty_redis(self) -> None:
        """Restart Redis without its data, as a power cut with a lost disk would."""
        await asyncio.to_thread(self.redis_server.kill)
        shutil.rmtree(self.redis_server.folder / "appendonlydir")
        await asyncio.to_thread(self.redis_server.start)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        connection = await aio_pika.connect(self.servers.rabbitmq.url)
        async with connection:
            yield await connection.channel()

    async def depth(self, queue: str = SEND_CODE_QUEUE) -> tuple[int, int]:
        """Return how many messages of a queue are ready, and how many consumers it has."""
        async with self.channel() as channel:
            declared = (await channel.declare_queue(queue, passive=True)).declaration_result
        return declared.message_count or 0, declared.consumer_count or 0

    def logs(self) -> str:
        return "".join(worker.log.read_text() for worker in self.workers)

    async def end_workers(self) -> None:
        """Stop all workers in the orderly way."""
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self.workers))


@asynccontextmanager
async def running_pipeline(servers: Servers, folder: Path) -> AsyncIterator[Pipeline]:
    """Have a pipeline without workers and with empty queues."""
    redis_server = RedisServer(folder / "redis", free_port())
    await asyncio.to_thread(redis_server.start)
    redis = redis_client.connect(redis_server.url)
    async with aiohttp.ClientSession() as session, running_simulator(session) as provider:
        pipeline = Pipeline(servers, redis_server, redis, provider, new_queue(servers.rabbitmq.url), folder)
        await _purge(pipeline)
        try:
            yield pipeline
        finally:
            for worker in pipeline.workers:
                await pipeline.kill(worker)
            await pipeline.queue.link.close()
            await redis.aclose()
            await asyncio.to_thread(redis_server.stop)


def new_queue(url: str) -> SendCodePublisher:
    queue = SendCodePublisher([url], Sealer([MESSAGE_SECRET]), AuthMetrics(new_registry()))
    queue.link.start()
    return queue


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


async def _purge(pipeline: Pipeline) -> None:
    async with pipeline.channel() as channel:
        await declare_sms_topology(channel)
        await declare_wait_queues(channel, DELAYS)
        for name in (*WAIT_QUEUES, SEND_CODE_QUEUE, DEAD_QUEUE):
            await (await channel.get_queue(name)).purge()
