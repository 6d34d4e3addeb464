"""Taking messages from the queue: when, how many at once, and noticing when none come any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aiormq.abc import DeliveredMessage

from services.sms.messaging.acks import Acks
from services.sms.messaging.publisher import Outlet
from services.sms.provider.base import Breaker
from shared.amqp.connection import AMQP_FAILURES, AmqpLink
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.http.in_flight import InFlight
from shared.observability.metrics import SmsMetrics

_CRASH_PAUSE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Vigilance:
    """How closely consumption is looked at, in seconds.

    Attributes:
        interval: between two questions to the broker whether it sees a consumer.
        patience: how long it may see none, or refuse the set-up, before a restart is asked for.
    """

    interval: float = 5.0
    patience: float = 60.0


class Intake:
    """Consumes with bounded concurrency, and not at all while the breaker is open.

    Each message is worked on in a task of its own, not in the library's callback: losing the channel
    cancels callbacks, and a call to the provider must not be broken off half-way. A consumer that
    the broker cancels, a closed channel and a cut connection are all answered by setting everything
    up anew; what they would not show is found by asking the broker whether it sees a consumer.

    Args:
        urls: the broker's nodes.
        handle: works on one message to its end.
        outlet: publishes on the same connection.
        breaker: tells whether to consume.
        concurrency: messages in work at once; the same number is fetched ahead.
        metrics: shows how many are in work.
        vigilance: how closely to look.
    """

    def __init__(
        self,
        urls: list[str],
        handle: Callable[[AbstractIncomingMessage], Awaitable[None]],
        outlet: Outlet,
        breaker: Breaker,
        concurrency: int,
        metrics: SmsMetrics,
        vigilance: Vigilance = Vigilance(),
    ) -> None:
        self.link = AmqpLink(urls, self._set_up, "dialpass-sms")
        self.in_flight = InFlight()
        self._handle = handle
        self._outlet = outlet
        self._breaker = breaker
        self._concurrency = concurrency
        self._metrics = metrics
        self._vigilance = vigilance
        self._tasks: set[asyncio.Task[None]] = set()
        # Referenced, because a channel that nobody holds is closed by the garbage collector.
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None
        self._acks: Acks | None = None
        self._prefetch = 0
        self._stopping = False
        self._regulating = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._seen_at = time.monotonic()

    def start(self) -> None:
        """Connect and begin to consume, in the background."""
        self._breaker.on_change(self._changed.set)
        self._watcher = asyncio.create_task(self._watch())
        self.link.start()

    def alive(self) -> bool:
        """Tell whether consumption goes on or is rightly at rest; if not, a restart is due."""
        patience = self._vigilance.patience
        blind = time.monotonic() - self._seen_at > patience
        return self.link.running and not blind and not self.link.setup_failing_for(patience)

    async def stop(self) -> None:
        """Ask the broker for no more messages; what has been fetched is still worked on."""
        self._stopping = True
        await self._regulate()

    async def close(self) -> None:
        """Close the connection, and only then drop what is unfinished: the broker keeps it."""
        if self._watcher is not None:
            self._watcher.cancel()
        await self.link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_up(self, connection: AbstractConnection) -> None:
        await self._outlet.open(connection, self.link)
        channel = await connection.channel()
        channel.close_callbacks.add(self.link.reset)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self.link.reset)
        async with self._regulating:
            self._channel = channel
            self._queue = await channel.get_queue(SEND_CODE_QUEUE, ensure=False)
            self._tag, self._prefetch = None, 0
            self._acks = Acks(underlay)
            await self._apply(channel, self._queue, self._acks)

    def _wanted(self) -> int:
        """Return how many messages to have in work at once."""
        if self._stopping:
            return 0
        if self._breaker.closed:
            return self._concurrency
        return 1 if self._breaker.probing else 0

    async def _regulate(self) -> None:
        """Consume as much as is wanted now; a connection that fails meanwhile is set up anew."""
        async with self._regulating:
            if self._channel is None or self._queue is None or self._acks is None:
                return
            try:
                await self._apply(self._channel, self._queue, self._acks)
            except AMQP_FAILURES:
                self.link.reset()

    async def _apply(self, channel: AbstractChannel, queue: AbstractQueue, acks: Acks) -> None:
        wanted = self._wanted()
        if wanted == self._prefetch:
            return
        if self._tag is not None:
            tag, self._tag = self._tag, None
            await queue.cancel(tag)
        if wanted:
            await channel.set_qos(prefetch_count=wanted)
            underlay = await channel.get_underlay_channel()
            # Not by `queue.consume`, which wraps each message in one more task.
            consuming = await underlay.basic_consume(queue.name, partial(self._on_message, acks))
            self._tag = consuming.consumer_tag
        log.info("consuming", prefetch=wanted, reason=self._breaker.reason)
        self._prefetch = wanted

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._vigilance.interval):
                    await self._changed.wait()
            self._changed.clear()
            await self._regulate()
            await self._look()

    async def _look(self) -> None:
        """See whether the broker knows a consumer, where there should be one; else set up anew."""
        if not self.link.up or not self._wanted():
            self._seen_at = time.monotonic()
            return
        if self._channel is not None and await self._is_consumed(self._channel):
            self._seen_at = time.monotonic()
        else:
            log.error("consumer_vanished")
            self.link.reset()

    async def _is_consumed(self, channel: AbstractChannel) -> bool:
        try:
            async with asyncio.timeout(self._vigilance.interval):
                queue = await channel.declare_queue(SEND_CODE_QUEUE, passive=True)
        except AMQP_FAILURES:
            return False
        return self._tag is not None and bool(queue.declaration_result.consumer_count)

    async def _on_message(self, acks: Acks, delivered: DeliveredMessage) -> None:
        incoming = acks.take(delivered)
        self.in_flight.enter()
        self._metrics.in_flight.set(self.in_flight())
        task = asyncio.create_task(self._work(incoming))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    async def _work(self, incoming: AbstractIncomingMessage) -> None:
        try:
            await self._handle(incoming)
        except Exception:
            # A defect of ours. The broker counts how often the message comes back, and buries it.
            log.exception("message_crashed")
            await asyncio.sleep(_CRASH_PAUSE_SECONDS)
            with suppress(*AMQP_FAILURES):
                await incoming.reject(requeue=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.in_flight.leave()
        self._metrics.in_flight.set(self.in_flight())
