"""The messages in work, as many at once as there are slots, and those that wait for a slot."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import ChannelInvalidStateError

from shared.amqp.connection import AMQP_FAILURES
from shared.http.in_flight import InFlight
from shared.observability.metrics import SmsMetrics
from shared.tasks import contain, count_failure

_CRASH_PAUSE_SECONDS = 1.0
# A slot would be idle from an acknowledgement until the next delivery: one in four has a message ready.
_SLOTS_PER_PARKED = 4
# A message that waits longer for a slot had better go to another worker. If all are slow, it comes back: the
# wait doubles, and the number of deliveries stays well below the queue's limit, 20.
_PATIENCE_SECONDS, _MAX_PATIENCE_SECONDS = 1.0, 60.0
_MAX_RETURNS = 5

# What the library raises for a closed channel.
_CLOSED = (*AMQP_FAILURES, ChannelInvalidStateError)

log = structlog.get_logger()


class Slots:
    """Handles messages, and parks those that were fetched ahead of a free slot.

    Each message is handled in its own task instead of the library's callback: a lost channel cancels
    callbacks, and a call of the provider must not be cancelled.

    While slots become free quickly, a parked message waits for a fraction of a call. One that has waited for
    over a second, since calls hang, is given back: another worker that has a free slot gets it next.

    Args:
        handle: handles one message.
        number: messages in work at once.
        metrics: shows how many are in work.

    Attributes:
        in_flight: the number of messages in work.
        capacity: how many messages should be fetched at most.
    """

    def __init__(
        self,
        handle: Callable[[AbstractIncomingMessage], Awaitable[None]],
        number: int,
        metrics: SmsMetrics,
    ) -> None:
        self.in_flight = InFlight()
        self._handle = handle
        self.capacity = number + -(-number // _SLOTS_PER_PARKED)
        self._number = number
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._parked: deque[tuple[float, AbstractIncomingMessage]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._patience = _PATIENCE_SECONDS
        self._giving_back: asyncio.Task[None] | None = None

    def add(self, message: AbstractIncomingMessage) -> None:
        """Handle a message now, or when a slot is free."""
        if self.in_flight() < self._number:
            self._start(message)
            return
        self._parked.append((time.monotonic(), message))
        if self._timer is None:
            self._check_in(self._patience)

    async def give_back(self) -> None:
        """Return the parked messages to the queue, in their order."""
        while self._parked:
            await _return(self._parked.popleft()[1])

    def forget_closed(self) -> None:
        """Drop the parked messages whose channel was closed: the broker delivers them again."""
        self._parked = deque(parked for parked in self._parked if _is_open(parked[1]))

    async def cancel(self) -> None:
        """Cancel what is in work."""
        self._parked.clear()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, message: AbstractIncomingMessage) -> None:
        self.in_flight.enter()
        self._metrics.in_flight.set(self.in_flight())
        task = asyncio.create_task(contain("message", self._work, message))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    async def _work(self, message: AbstractIncomingMessage) -> None:
        try:
            await self._handle(message)
        except Exception:
            # A bug. The broker counts the deliveries and dead-letters the message after too many.
            log.exception("message_crashed")
            count_failure("message")
            await asyncio.sleep(_CRASH_PAUSE_SECONDS)
            with suppress(*_CLOSED):
                await message.reject(requeue=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.in_flight.leave()
        while self._parked:
            message = self._parked.popleft()[1]
            if _is_open(message):
                self._start(message)
                return
        self._metrics.in_flight.set(self.in_flight())

    def _check_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        """Give back what has waited for too long, if it has not been given back too often."""
        self._timer = None
        if not self._parked:
            self._patience = _PATIENCE_SECONDS
            return
        waited = time.monotonic() - self._parked[0][0]
        if waited < self._patience:
            self._check_in(self._patience - waited)
            return
        self._patience = min(2 * self._patience, _MAX_PATIENCE_SECONDS)
        self._giving_back = asyncio.create_task(contain("message_return", self._give_back_late))
        self._check_in(self._patience)

    async def _give_back_late(self) -> None:
        late = [message for _, message in self._parked if _returns(message) < _MAX_RETURNS]
        self._parked = deque(parked for parked in self._parked if parked[1] not in late)
        for message in late:
            await _return(message)


async def _return(message: AbstractIncomingMessage) -> None:
    """Return a message to its queue; a closed channel has done so already."""
    with suppress(*_CLOSED):
        await message.nack(requeue=True)


def _returns(message: AbstractIncomingMessage) -> int:
    """Return how often a message has been given back to its queue."""
    count = message.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0


def _is_open(message: AbstractIncomingMessage) -> bool:
    try:
        return not message.channel.is_closed
    except _CLOSED:  # which reading a closed channel raises, too
        return False
