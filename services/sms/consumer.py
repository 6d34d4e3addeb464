"""From the queue to the use case: the only file that acknowledges or rejects messages."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

from services.sms.delivery import Delivery
from shared import request_ids
from shared.amqp import AMQP_FAILURES, AmqpLink, declare_sms_topology
from shared.in_flight import InFlight
from shared.messages import SendCode, UnreadableMessage, decode_send_code
from shared.metrics import SmsMetrics
from shared.phone import mask_mobile
from shared.sealing import Sealer

log = structlog.get_logger()


class SendCodeConsumer:
    """Consumes send-code messages with bounded concurrency.

    Each message is worked on in a task of its own, not in the library's callback: losing the channel
    cancels callbacks, and a call to the provider must not be broken off half-way.

    Args:
        urls: the broker's nodes.
        deliver: sends one message and tells what became of it.
        concurrency: messages in work at once; the same number is fetched ahead.
        sealer: opens the messages.
        metrics: counts outcomes.
    """

    def __init__(
        self,
        urls: list[str],
        deliver: Callable[[SendCode], Awaitable[Delivery]],
        concurrency: int,
        sealer: Sealer,
        metrics: SmsMetrics,
    ) -> None:
        self.link = AmqpLink(urls, self._set_up, "dialpass-sms")
        self.in_flight = InFlight()
        self._deliver = deliver
        self._concurrency = concurrency
        self._sealer = sealer
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        # Referenced, because a channel that nobody holds is closed by the garbage collector.
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag = ""
        self._stopping = False

    async def stop_consuming(self) -> None:
        """Ask the broker for no more messages; what has been fetched is still worked on."""
        self._stopping = True
        if self._queue is not None:
            with suppress(*AMQP_FAILURES):
                await self._queue.cancel(self._tag)

    async def close(self) -> None:
        """Close the connection, and only then drop what is unfinished: the broker keeps it."""
        await self.link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_up(self, connection: AbstractConnection) -> None:
        if self._stopping:  # a connection lost during the drain must not begin anew
            return
        channel = await connection.channel()
        channel.close_callbacks.add(self.link.lost)
        underlay = await channel.get_underlay_channel()
        # The broker cancels consumers too, when a queue is deleted or moves: a worker that did not
        # notice would look healthy and consume nothing.
        underlay.on_consumer_cancel_callbacks.add(self.link.lost)
        await channel.set_qos(prefetch_count=self._concurrency)
        _, self._queue = await declare_sms_topology(channel)
        self._tag = await self._queue.consume(self._on_message)
        self._channel = channel

    async def _on_message(self, incoming: AbstractIncomingMessage) -> None:
        self.in_flight.enter()
        self._metrics.in_flight.set(self.in_flight())
        task = asyncio.create_task(self._work(incoming))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.in_flight.leave()
        self._metrics.in_flight.set(self.in_flight())
        if not task.cancelled() and (error := task.exception()) is not None:
            # Left unacknowledged on purpose: the broker redelivers it when the link is set up anew.
            log.error("message_crashed", exc_info=error)
            self.link.lost()

    async def _work(self, incoming: AbstractIncomingMessage) -> None:
        headers = incoming.headers or {}
        structlog.contextvars.bind_contextvars(
            request_id=request_ids.accept_or_create(str(headers.get("request_id", ""))),
            message_id=incoming.message_id,
        )
        try:
            message = decode_send_code(incoming.type, incoming.body, self._sealer)
        except UnreadableMessage as error:
            self._note("unreadable", reason=error.reason)
            await _settle(incoming.reject(requeue=False))  # to the dead queue
            return
        delivery = await self._deliver(message)
        self._note(
            delivery.outcome,
            mobile=mask_mobile(message.mobile),
            attempts=delivery.attempts,
            detail=delivery.detail,
            redelivered=incoming.redelivered,
        )
        await _settle(incoming.ack())

    def _note(self, outcome: str, **details: object) -> None:
        self._metrics.messages.labels(outcome).inc()
        log.info("message", outcome=outcome, **details)


async def _settle(settling: Awaitable[None]) -> None:
    """Acknowledge or reject; where the channel has gone, the broker delivers the message again."""
    try:
        await settling
    except AMQP_FAILURES as error:
        log.warning("not_settled", error=type(error).__name__)
