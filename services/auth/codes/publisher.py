"""Publishing send-code messages to the SMS worker: confirmed, mandatory, persistent."""

import asyncio
from typing import cast, get_args

import structlog
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import DeliveryError
from aiormq import Channel
from pamqp.commands import Basic

from services.auth.errors import SmsUnavailable
from shared.amqp.connection import AMQP_FAILURES, AmqpLink
from shared.amqp.failures import ChannelGone
from shared.amqp.topology import SEND_CODE_QUEUE, SMS_EXCHANGE, declare_sms_topology
from shared.contracts.messages import Purpose, SendCode, SendNotice, encode_send_code, wire_type
from shared.observability.metrics import AuthMetrics, expose
from shared.observability.tracing import OFF, SpanKind, Tracer
from shared.security.sealing import Sealer

# Includes waiting for a reconnection, which the library's own timeout does not.
_PUBLISH_SECONDS = 2.0
_RETRY_AFTER_SECONDS = 5

log = structlog.get_logger()


class SendCodePublisher:
    """Publishes sealed send-code messages to RabbitMQ; `link` holds the connection and its health check."""

    def __init__(self, urls: list[str], sealer: Sealer, metrics: AuthMetrics, tracer: Tracer = OFF) -> None:
        self._sealer = sealer
        self.link = AmqpLink(urls, self._set_up, "dialpass-auth")
        self._metrics = metrics
        expose(metrics.codes, get_args(Purpose), ("unsent",))
        self._tracer = tracer
        # Referenced, because the garbage collector closes channels without a reference.
        self._channel: AbstractChannel | None = None

    def refuse_if_down(self, purpose: Purpose) -> None:
        """Check that the broker is connected, for a message that will be published later.

        Raises:
            SmsUnavailable: it is not.
        """
        if not self.link.up:
            self._metrics.codes.labels(purpose, "unsent").inc()
            raise SmsUnavailable(retry_after=_RETRY_AFTER_SECONDS)

    async def publish(self, message: SendCode) -> None:
        """Publish a message and return once the broker has stored it.

        Raises:
            SmsUnavailable: it was not stored, or its confirmation was lost.
        """
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                try:
                    await self._publish(message)
                # Certainly not stored; a fault of this channel or connection is repaired by then.
                except (DeliveryError, ChannelGone):
                    await self._publish(message)
        except AMQP_FAILURES as error:
            self._metrics.dependency_failures.labels("rabbitmq").inc()
            if not isinstance(message, SendNotice):
                self._metrics.codes.labels(message.purpose, "unsent").inc()
            log.warning("publish_failed", message_id=message.message_id, error=type(error).__name__)
            raise SmsUnavailable(retry_after=_RETRY_AFTER_SECONDS) from error

    async def _publish(self, message: SendCode) -> None:
        await self.link.wait_up()
        if self._channel is None or self._channel.is_closed:
            self.link.reset()
            raise ChannelGone("the link is up without a channel")
        await self.link.refuse_if_blocked()
        channel = cast("Channel", await self._channel.get_underlay_channel())
        attributes = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": SEND_CODE_QUEUE,
            "messaging.message.id": message.message_id,
        }
        span = self._tracer.span(SpanKind.PRODUCER, f"publish {SEND_CODE_QUEUE}", attributes)
        with span, self.link.publishing():
            # Not by the exchange's own method, in which a message waits until the one before is written.
            await channel.basic_publish(
                encode_send_code(message, self._sealer),
                exchange=SMS_EXCHANGE,
                routing_key=SEND_CODE_QUEUE,
                properties=self._properties(message),
                mandatory=True,
                wait=False,
            )

    def _properties(self, message: SendCode) -> Basic.Properties:
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        return Basic.Properties(
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            timestamp=message.created_at,
            message_type=wire_type(message),
            app_id="dialpass-auth",
            headers={"request_id": request_id, **self._tracer.inject()},
        )

    async def _set_up(self, connection: AbstractConnection) -> None:
        # Without on_return_raises an unroutable message would count as published.
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        channel.close_callbacks.add(self.link.reset)
        await declare_sms_topology(channel)
        self._channel = channel
