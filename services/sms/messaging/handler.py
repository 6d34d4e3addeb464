"""From the queue to the use case: the only file that acknowledges messages."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aio_pika.abc import AbstractIncomingMessage

from services.sms.delivery.models import Trace
from services.sms.delivery.outcomes import Delivery
from services.sms.messaging import headers
from services.sms.messaging.publisher import Outlet
from shared.amqp.connection import AMQP_FAILURES
from shared.clock import now
from shared.contracts.messages import SendCode, UnreadableMessage, decode_send_code
from shared.observability.line_log import LineLog
from shared.observability.metrics import SmsMetrics
from shared.phone import mask_mobile
from shared.security.sealing import Sealer

_PAUSE_SECONDS = 1.0

log = structlog.get_logger()


class SendCodeConsumer:
    """Reads one message, has it delivered, and settles it with the broker.

    A message is acknowledged once its end is on record, or once a copy of it is stored in a wait
    queue or the dead queue. Dying in between leaves two copies and loses none; the ledger tells the
    second one that it is done.

    Args:
        deliver: sends one message and tells what became of it.
        outlet: the wait queues and the dead queue.
        sealer: opens the messages.
        metrics: counts outcomes.
        lines: take one line per message.
    """

    def __init__(
        self,
        deliver: Callable[[SendCode, Trace], Awaitable[Delivery]],
        outlet: Outlet,
        sealer: Sealer,
        metrics: SmsMetrics,
        lines: LineLog,
    ) -> None:
        self._deliver = deliver
        self._outlet = outlet
        self._sealer = sealer
        self._metrics = metrics
        self._lines = lines

    async def handle(self, incoming: AbstractIncomingMessage) -> None:
        """Work on a message to its end."""
        request_id = headers.read_request_id(incoming.headers)
        structlog.contextvars.bind_contextvars(request_id=request_id, message_id=incoming.message_id)
        try:
            message = decode_send_code(incoming.type, incoming.body, self._sealer)
        except UnreadableMessage as error:
            self._note(incoming, request_id, "unreadable", reason=error.reason)
            await self._bury(incoming, request_id, error.reason)
            return
        trace = headers.read_trace(incoming.headers, message, redelivered=bool(incoming.redelivered))
        delivery = await self._deliver(message, trace)
        self._note_delivery(incoming, request_id, message, delivery)
        await self._settle(incoming, request_id, delivery)

    async def _settle(self, incoming: AbstractIncomingMessage, request_id: str, delivery: Delivery) -> None:
        wait = delivery.wait
        if wait is not None:
            again = headers.of_waiting(request_id, wait.trace)
            await _replace(incoming, lambda: self._outlet.wait(incoming, wait.seconds, again))
        elif delivery.outcome == "failed":
            reason = delivery.resolution or "refused"
            await self._bury(incoming, request_id, reason, delivery.detail, delivery.attempts)
        else:
            await _acknowledge(incoming)

    async def _bury(
        self,
        incoming: AbstractIncomingMessage,
        request_id: str,
        reason: str,
        code: str = "",
        attempts: int = 0,
    ) -> None:
        epitaph = headers.of_dead(request_id, reason=reason, code=code, attempts=attempts, died_at=now())
        await _replace(incoming, lambda: self._outlet.bury(incoming, epitaph))

    def _note_delivery(
        self, incoming: AbstractIncomingMessage, request_id: str, message: SendCode, delivery: Delivery
    ) -> None:
        if delivery.resolution is not None:
            self._metrics.doubts.labels(delivery.resolution).inc()
        if delivery.second_text:
            self._metrics.second_texts.inc()
        self._note(
            incoming,
            request_id,
            delivery.outcome,
            mobile=mask_mobile(message.mobile),
            attempts=delivery.attempts,
            detail=delivery.detail,
            resolution=delivery.resolution,
            redelivered=bool(incoming.redelivered),
        )

    def _note(
        self, incoming: AbstractIncomingMessage, request_id: str, outcome: str, **details: object
    ) -> None:
        self._metrics.messages.labels(outcome).inc()
        ids = {"request_id": request_id, "message_id": incoming.message_id}
        self._lines.write({"outcome": outcome, **details, **ids})


async def _replace(incoming: AbstractIncomingMessage, publish: Callable[[], Awaitable[None]]) -> None:
    """Acknowledge a message once a copy of it is stored; until then it is held.

    Where its channel goes first, the broker delivers it again.
    """
    while True:
        try:
            await publish()
            break
        except AMQP_FAILURES as error:
            log.warning("not_stored", error=type(error).__name__)
            if incoming.channel.is_closed:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
    await _acknowledge(incoming)


async def _acknowledge(incoming: AbstractIncomingMessage) -> None:
    """Acknowledge; where the channel has gone, the broker delivers the message again."""
    try:
        await incoming.ack()
    except AMQP_FAILURES as error:
        log.warning("not_settled", error=type(error).__name__)
