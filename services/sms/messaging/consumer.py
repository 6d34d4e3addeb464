"""Consuming the queue of messages to send, with bounded concurrency and a watchdog."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aiormq.abc import DeliveredMessage

from services.sms.messaging.acks import BatchedAcks
from services.sms.messaging.publisher import MessagePublisher
from services.sms.messaging.slots import Slots
from services.sms.provider.circuit_breaker import CircuitBreaker
from shared.amqp.connection import AMQP_FAILURES, AmqpLink
from shared.amqp.failures import broker_failures
from shared.amqp.topology import SEND_CODE_QUEUE
from shared.observability.metrics import SmsMetrics
from shared.tasks import supervise

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """How consumption is checked, in seconds.

    Attributes:
        interval: time between two checks whether the broker sees a consumer.
        grace: how long it may see none, or the setup may fail, before the process has to be restarted.
    """

    interval: float = 5.0
    grace: float = 60.0


class MessageConsumer:
    """Consumes messages, and stops while the circuit breaker is open.

    Some more messages are fetched than are handled at once. They are given back in their order when
    consumption pauses or ends. If the broker cancels the consumer, or
    the channel or the connection is closed, everything is set up anew; a consumer that vanishes without a
    notice is found by asking the broker.

    Args:
        urls: the broker's nodes.
        handle: handles one message.
        publisher: opened on the same connection.
        breaker: tells whether to consume.
        concurrency: messages in work at once.
        metrics: shows how many are in work.
        watchdog: how consumption is checked.

    Attributes:
        link: the connection.
        in_flight: the number of messages in work.
        queue: the queue on the current channel, or None.
        consumer_tag: the consumer on that channel, or None while it does not consume.
    """

    def __init__(
        self,
        urls: list[str],
        handle: Callable[[AbstractIncomingMessage], Awaitable[None]],
        publisher: MessagePublisher,
        breaker: CircuitBreaker,
        concurrency: int,
        metrics: SmsMetrics,
        watchdog: WatchdogSettings = WatchdogSettings(),
    ) -> None:
        self.link = AmqpLink(urls, self._set_up, "dialpass-sms")
        self._slots = Slots(handle, concurrency, metrics)
        self.in_flight = self._slots.in_flight
        self.queue: AbstractQueue | None = None
        self.consumer_tag: str | None = None
        self._publisher = publisher
        self._breaker = breaker
        self._watchdog = watchdog
        # Referenced, because an unreferenced channel is closed by the garbage collector.
        self._channel: AbstractChannel | None = None
        self._acks: BatchedAcks | None = None
        self._prefetch = 0
        self._stopping = False
        self._adjusting = asyncio.Lock()
        self._breaker_changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._seen_at = time.monotonic()

    def start(self) -> None:
        """Connect and consume, in the background."""
        self._breaker.on_change(self._breaker_changed.set)
        self._watching = asyncio.create_task(supervise("consumer", self._watch))
        self.link.start()

    def alive(self) -> bool:
        """Return whether messages are consumed or rightly are not; if False, restart the process."""
        grace = self._watchdog.grace
        unseen = time.monotonic() - self._seen_at > grace
        return self.link.running and not unseen and not self.link.setup_failing_for(grace)

    async def stop(self) -> None:
        """Stop consuming; messages in work are still handled, the others are given back."""
        self._stopping = True
        await self._adjust()

    async def close(self) -> None:
        """Close the connection, then cancel what is in work: the broker keeps those messages."""
        if self._watching is not None:
            self._watching.cancel()
        await self.link.close()
        await self._slots.cancel()

    async def _set_up(self, connection: AbstractConnection) -> None:
        await self._publisher.open(connection, self.link)
        channel = await connection.channel()
        channel.close_callbacks.add(self.link.reset)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self.link.reset)
        async with self._adjusting:
            self._channel = channel
            self.queue = await channel.get_queue(SEND_CODE_QUEUE, ensure=False)
            self.consumer_tag, self._prefetch = None, 0
            self._slots.forget_closed()
            self._acks = BatchedAcks(underlay)
            await self._set_prefetch(channel, self.queue, self._acks)

    def _wanted_prefetch(self) -> int:
        if self._stopping:
            return 0
        if self._breaker.closed:
            return self._slots.capacity
        return 1 if self._breaker.half_open else 0

    async def _adjust(self) -> None:
        """Adjust consumption to the breaker; if the connection fails meanwhile, reset it."""
        async with self._adjusting:
            if self._channel is None or self.queue is None or self._acks is None:
                return
            try:
                with broker_failures():
                    await self._set_prefetch(self._channel, self.queue, self._acks)
            except AMQP_FAILURES:
                self.link.reset()

    async def _set_prefetch(self, channel: AbstractChannel, queue: AbstractQueue, acks: BatchedAcks) -> None:
        prefetch = self._wanted_prefetch()
        if prefetch == self._prefetch:
            return
        if self.consumer_tag is not None:
            tag, self.consumer_tag = self.consumer_tag, None
            await queue.cancel(tag)
        await self._slots.give_back()
        if prefetch:
            await channel.set_qos(prefetch_count=prefetch)
            underlay = await channel.get_underlay_channel()
            # Not `queue.consume`, which wraps each message in another task.
            consuming = await underlay.basic_consume(queue.name, partial(self._on_message, acks))
            self.consumer_tag = consuming.consumer_tag
        log.info("consuming", prefetch=prefetch, reason=self._breaker.reason)
        self._prefetch = prefetch

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watchdog.interval):
                    await self._breaker_changed.wait()
            self._breaker_changed.clear()
            await self._adjust()
            await self._check()

    async def _check(self) -> None:
        """Reset the connection if the broker does not see the consumer that it should see."""
        if not self.link.up or not self._wanted_prefetch():
            self._seen_at = time.monotonic()
            return
        if self._channel is not None and await self._is_consumed(self._channel):
            self._seen_at = time.monotonic()
        else:
            log.error("consumer_vanished")
            self.link.reset()

    async def _is_consumed(self, channel: AbstractChannel) -> bool:
        try:
            with broker_failures():
                async with asyncio.timeout(self._watchdog.interval):
                    queue = await channel.declare_queue(SEND_CODE_QUEUE, passive=True)
        except AMQP_FAILURES:
            return False
        return self.consumer_tag is not None and bool(queue.declaration_result.consumer_count)

    async def _on_message(self, acks: BatchedAcks, delivered: DeliveredMessage) -> None:
        self._slots.add(acks.track(delivered))
