"""Acknowledging the messages of one channel in batches."""

import asyncio
import math

import structlog
from aio_pika import IncomingMessage
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.amqp.connection import AMQP_FAILURES
from shared.amqp.failures import broker_failures
from shared.tasks import contain

log = structlog.get_logger()


class BatchedAcks:
    """Collects acknowledgements and sends them together.

    One frame acknowledges all messages up to a delivery tag, which is possible below the first unsettled
    message; the others are acknowledged one by one. A frame is sent shortly after `ack` has returned: if
    the channel is closed before that, the broker delivers the message again.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._unsettled: dict[int, None] = {}  # in the order of their delivery tags
        self._acked: list[int] = []
        self._sending: asyncio.Task[None] | None = None

    def track(self, delivered: DeliveredMessage) -> IncomingMessage:
        """Return a delivered message that is acknowledged with others."""
        message = _BatchedMessage(delivered, self)
        self._unsettled[message.delivery_tag or 0] = None
        return message

    def acknowledge(self, tag: int) -> None:
        """Acknowledge a message with the next batch."""
        self.settle(tag)
        self._acked.append(tag)
        if self._sending is None:
            self._sending = asyncio.create_task(contain("acks", self._send))

    def settle(self, tag: int) -> None:
        """Remove a message from the unsettled ones."""
        del self._unsettled[tag]

    async def _send(self) -> None:
        try:
            with broker_failures():
                while self._acked:
                    tags, self._acked = sorted(self._acked), []
                    await self._send_batch(tags)
        except AMQP_FAILURES as error:
            log.warning("not_settled", error=type(error).__name__)
        finally:
            self._sending = None

    async def _send_batch(self, tags: list[int]) -> None:
        first_unsettled = next(iter(self._unsettled), math.inf)
        together = [tag for tag in tags if tag < first_unsettled]
        if together:
            await self._channel.basic_ack(together[-1], multiple=True, wait=False)
        for tag in tags[len(together) :]:
            await self._channel.basic_ack(tag, wait=False)


class _BatchedMessage(IncomingMessage):
    """A message whose acknowledgement is sent with others."""

    __slots__ = ("_acks",)

    def __init__(self, delivered: DeliveredMessage, acks: BatchedAcks) -> None:
        super().__init__(delivered)
        self._acks = acks

    async def ack(self, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Acknowledge the message; raises if the channel is closed."""
        if not self.channel.is_closed:  # reading the channel raises as well
            self._acks.acknowledge(self.delivery_tag or 0)

    async def nack(self, multiple: bool = False, requeue: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's
        """Give the message back at once, not in a batch."""
        await super().nack(multiple, requeue)
        self._acks.settle(self.delivery_tag or 0)

    async def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Reject the message at once, not in a batch."""
        with broker_failures():
            await super().reject(requeue)
        self._acks.settle(self.delivery_tag or 0)
