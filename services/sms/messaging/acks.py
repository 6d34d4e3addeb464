"""Acknowledging messages of one channel together."""

import asyncio
import math

import structlog
from aio_pika import IncomingMessage
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.amqp.connection import AMQP_FAILURES

log = structlog.get_logger()


class Acks:
    """The messages of a channel that are not settled, and what has been acknowledged since the last look.

    The broker numbers the messages of a channel, and takes one acknowledgement for all up to a number;
    that is said only of a message below which none is open. The others are acknowledged one by one. An
    acknowledgement is on its way a moment after `ack` has returned; where the channel goes before that,
    the broker delivers the message again.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._open: dict[int, None] = {}  # in the order of their numbers
        self._done: list[int] = []
        self._telling: asyncio.Task[None] | None = None

    def take(self, delivered: DeliveredMessage) -> IncomingMessage:
        """Return a message that has been delivered, to be settled."""
        message = _Taken(delivered, self)
        self._open[message.delivery_tag or 0] = None
        return message

    def acknowledge(self, number: int) -> None:
        """Acknowledge a message with the next ones."""
        self.settle(number)
        self._done.append(number)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    def settle(self, number: int) -> None:
        """Note that a message is not open any more."""
        del self._open[number]

    async def _tell(self) -> None:
        try:
            while self._done:
                done, self._done = sorted(self._done), []
                await self._tell_of(done)
        except AMQP_FAILURES as error:
            log.warning("not_settled", error=type(error).__name__)
        finally:
            self._telling = None

    async def _tell_of(self, done: list[int]) -> None:
        first_open = next(iter(self._open), math.inf)
        together = [number for number in done if number < first_open]
        if together:
            await self._channel.basic_ack(together[-1], multiple=True, wait=False)
        for number in done[len(together) :]:
            await self._channel.basic_ack(number, wait=False)


class _Taken(IncomingMessage):
    """A message whose acknowledgement goes to the broker with others."""

    __slots__ = ("_acks",)

    def __init__(self, delivered: DeliveredMessage, acks: Acks) -> None:
        super().__init__(delivered)
        self._acks = acks

    async def ack(self, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Acknowledge it; raises where the channel has gone."""
        if not self.channel.is_closed:  # asking for the channel raises as well
            self._acks.acknowledge(self.delivery_tag or 0)

    async def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Reject it, and not with others."""
        await super().reject(requeue)
        self._acks.settle(self.delivery_tag or 0)
