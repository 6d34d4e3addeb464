"""Publishing domain events to the topic exchange `auth.events`, confirmed and persistent."""

import asyncio

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange

from services.auth.outbox.repository import StoredEvent
from shared.amqp.connection import AMQP_FAILURES, AmqpLink, ConnectionBlocked
from shared.contracts.events import EVENTS_EXCHANGE, routing_key
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics

_PUBLISH_SECONDS = 5.0

log = structlog.get_logger()


class EventPublisher:
    """Publishes events over a connection of its own, `link`.

    The broker confirms an event once every queue that is bound to it has stored it. An event without a
    bound queue is confirmed and dropped: nobody has subscribed to it.
    """

    def __init__(self, urls: list[str], metrics: AuthMetrics) -> None:
        self.link = AmqpLink(urls, self._set_up, "dialpass-auth-events")
        self._metrics = metrics
        # Referenced, because the garbage collector closes channels without a reference.
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def publish(self, event: StoredEvent) -> None:
        """Publish an event and return once every queue that is bound to it has stored it.

        Raises:
            Unavailable: it was not stored, or its confirmation was lost.
        """
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._publish(event)
        except AMQP_FAILURES as error:
            if isinstance(error, TimeoutError) and self.link.up and not await self._is_blocked():
                # A channel that was opened while a quorum queue elected its leader may never answer.
                self.link.reset()
            self._metrics.dependency_failures.labels("rabbitmq").inc()
            log.warning("event_not_published", event_id=event.event_id, error=type(error).__name__)
            raise Unavailable from error

    async def _publish(self, event: StoredEvent) -> None:
        await self.link.wait_up()
        if self._exchange is None:  # the link runs the set-up before it is up
            raise ConnectionError("the link is up without an exchange")
        await self.link.refuse_if_blocked()
        with self.link.publishing():
            await self._exchange.publish(
                Message(
                    event.body.encode(),
                    content_type="application/json",
                    delivery_mode=DeliveryMode.PERSISTENT,
                    message_id=event.event_id,
                    timestamp=event.created_at,
                    type=event.type,
                    app_id="dialpass-auth",
                    headers={"request_id": event.request_id},
                ),
                routing_key=routing_key(event.type),
                mandatory=False,
            )

    async def _is_blocked(self) -> bool:
        try:
            await self.link.refuse_if_blocked()
        except ConnectionBlocked:
            return True
        return False

    async def _set_up(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=True)
        channel.close_callbacks.add(self.link.reset)
        self._exchange = await channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)
        self._channel = channel
