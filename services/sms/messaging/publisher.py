"""Publishing messages to the wait queues and the dead letter queue, with publisher confirms."""

import asyncio
from collections.abc import Sequence

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage

from services.sms.messaging.headers import Headers
from shared.amqp.connection import AmqpLink
from shared.amqp.topology import DEAD_KEY, declare_sms_topology, declare_wait_queues, wait_queue
from shared.observability.tracing import OFF, Tracer

_PUBLISH_SECONDS = 5.0


class MessagePublisher:
    """Publishes copies of messages; returns once the broker has stored the copy.

    A copy has the given headers only, without those that the broker has added. Publishing raises one of
    `shared.amqp.connection.AMQP_FAILURES` if the copy may not have been stored.

    Args:
        delays: the delays of the wait queues, in seconds.
        tracer: copies carry on the trace of the message.
    """

    def __init__(self, delays: Sequence[float], tracer: Tracer = OFF) -> None:
        self._delays = delays
        self._tracer = tracer
        # Referenced, because an unreferenced channel is closed by the garbage collector.
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._link: AmqpLink | None = None

    async def open(self, connection: AbstractConnection, link: AmqpLink) -> None:
        """Declare the topology on a new connection of the link, and publish there from now on."""
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        channel.close_callbacks.add(link.reset)
        self._exchange, _ = await declare_sms_topology(channel)
        await declare_wait_queues(channel, self._delays)
        self._channel = channel
        self._link = link

    async def retry(self, message: AbstractIncomingMessage, delay: float, headers: Headers) -> None:
        """Publish a message to the wait queue of a delay, in seconds."""
        await self._publish(message, wait_queue(delay), headers)

    async def dead_letter(self, message: AbstractIncomingMessage, headers: Headers) -> None:
        """Publish a message to the dead letter queue."""
        await self._publish(message, DEAD_KEY, headers)

    async def _publish(self, message: AbstractIncomingMessage, routing_key: str, headers: Headers) -> None:
        if self._exchange is None or self._link is None:  # opened before the first message arrives
            raise ConnectionError("no channel to publish on")
        copy = Message(
            message.body,
            content_type=message.content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            timestamp=message.timestamp,
            type=message.type,
            app_id="dialpass-sms",
            headers={**headers, **self._tracer.inject()},
        )
        await self._link.refuse_if_blocked()
        with self._link.publishing():
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._exchange.publish(copy, routing_key, mandatory=True)
