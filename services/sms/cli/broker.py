"""The commands' connection to RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection

from services.sms.cli.output import broker_errors
from shared.amqp.connection import AMQP_FAILURES
from shared.amqp.topology import SEND_CODE_QUEUE, SMS_EXCHANGE
from shared.contracts.messages import SendCode, encode_send_code, wire_type
from shared.http import request_ids
from shared.security.sealing import Sealer

_CONNECT_SECONDS = 5.0
_PUBLISH_SECONDS = 10.0


@asynccontextmanager
async def open_connection(urls: Sequence[str]) -> AsyncIterator[AbstractConnection]:
    """Connect to the first available node of the broker, within the block."""
    with broker_errors():
        connection = await _connect(urls)
        async with connection:
            yield connection


@asynccontextmanager
async def open_channel(urls: Sequence[str]) -> AsyncIterator[AbstractChannel]:
    """Open a channel with publisher confirms, which raises for an unroutable message."""
    async with open_connection(urls) as connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


async def publish(channel: AbstractChannel, sealer: Sealer, message: SendCode) -> None:
    """Publish a send-code message; returns once the broker has stored it."""
    exchange = await channel.get_exchange(SMS_EXCHANGE, ensure=False)
    async with asyncio.timeout(_PUBLISH_SECONDS):
        await exchange.publish(
            Message(
                encode_send_code(message, sealer),
                content_type="application/json",
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=message.message_id,
                timestamp=message.created_at,
                type=wire_type(message),
                app_id="dialpass-sms",
                headers={"request_id": request_ids.accept_or_create(None)},
            ),
            routing_key=SEND_CODE_QUEUE,
            mandatory=True,
        )


async def _connect(urls: Sequence[str]) -> AbstractConnection:
    for url in urls[:-1]:
        try:
            return await aio_pika.connect(url, timeout=_CONNECT_SECONDS)
        except AMQP_FAILURES:
            continue
    return await aio_pika.connect(urls[-1], timeout=_CONNECT_SECONDS)
