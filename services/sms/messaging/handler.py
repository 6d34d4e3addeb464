"""Handling one message of the queue: decode it, have it delivered, settle it with the broker."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aio_pika.abc import AbstractIncomingMessage

from services.sms.delivery.models import DeliveryResult
from services.sms.delivery.service import DeliveryService
from services.sms.messaging import headers
from services.sms.messaging.acceptance import check_sealed, check_times
from services.sms.messaging.publisher import MessagePublisher
from shared.amqp.connection import AMQP_FAILURES
from shared.clock import now
from shared.contracts.messages import SendCode, UnreadableMessage, decode_send_code
from shared.observability.line_log import LineLog
from shared.observability.metrics import SmsMetrics
from shared.phone import mask_mobile
from shared.security.sealing import Sealer

_RETRY_PAUSE_SECONDS = 1.0

log = structlog.get_logger()


class MessageHandler:
    """Handles messages; the only place that acknowledges them.

    A message is acknowledged once its final state is recorded, or once a copy of it is stored in a wait
    queue or the dead letter queue. A number that refuses messages, or does not exist, is no dead letter:
    nobody could do anything about it. A worker that dies in between leaves two copies and loses none; the
    record tells the second one that it is final.

    Args:
        service: delivers messages.
        publisher: publishes retries and dead letters.
        sealer: decrypts messages.
        metrics: counts results.
        lines: receives one log line per message.
        accept_v1: whether to send unsealed messages of version 1, during an update from a version that
            publishes them.
    """

    def __init__(
        self,
        service: DeliveryService,
        publisher: MessagePublisher,
        sealer: Sealer,
        metrics: SmsMetrics,
        lines: LineLog,
        *,
        accept_v1: bool = False,
    ) -> None:
        self._service = service
        self._publisher = publisher
        self._sealer = sealer
        self._metrics = metrics
        self._lines = lines
        self._accept_v1 = accept_v1

    async def handle(self, incoming: AbstractIncomingMessage) -> None:
        """Deliver a message and settle it."""
        request_id = headers.read_request_id(incoming.headers)
        structlog.contextvars.bind_contextvars(request_id=request_id, message_id=incoming.message_id)
        try:
            check_sealed(incoming.type, accept_v1=self._accept_v1)
            message = decode_send_code(incoming.type, incoming.body, self._sealer)
            check_times(message, now())
        except UnreadableMessage as error:
            self._log(incoming, request_id, "unreadable", reason=error.reason)
            await self._dead_letter(incoming, request_id, error.reason)
            return
        history = headers.read_history(incoming.headers, message, redelivered=bool(incoming.redelivered))
        result = await self._service.deliver(message, history)
        self._log_result(incoming, request_id, message, result)
        await self._settle(incoming, request_id, result)

    async def _settle(
        self, incoming: AbstractIncomingMessage, request_id: str, result: DeliveryResult
    ) -> None:
        retry = result.retry
        if retry is not None:
            copied = headers.retry_headers(request_id, retry.history)
            await _replace(incoming, lambda: self._publisher.retry(incoming, retry.delay, copied))
        elif result.status == "failed" and not _is_of_number(result):
            reason = result.resolution or "refused"
            await self._dead_letter(incoming, request_id, reason, result.detail, result.attempts)
        else:
            await _acknowledge(incoming)

    async def _dead_letter(
        self,
        incoming: AbstractIncomingMessage,
        request_id: str,
        reason: str,
        code: str = "",
        attempts: int = 0,
    ) -> None:
        letter = headers.dead_letter_headers(
            request_id, reason=reason, code=code, attempts=attempts, died_at=now()
        )
        await _replace(incoming, lambda: self._publisher.dead_letter(incoming, letter))

    def _log_result(
        self, incoming: AbstractIncomingMessage, request_id: str, message: SendCode, result: DeliveryResult
    ) -> None:
        if result.resolution is not None:
            self._metrics.resolutions.labels(result.resolution).inc()
        if result.sent_twice:
            self._metrics.sent_twice.inc()
        self._log(
            incoming,
            request_id,
            result.status,
            mobile=mask_mobile(message.mobile),
            attempts=result.attempts,
            # A sid as a number: as text it could look like the phone number that it is not.
            detail=int(result.detail) if result.detail.isdecimal() else result.detail,
            provider_detail=result.answer.detail or None if result.answer else None,
            resolution=result.resolution,
            redelivered=bool(incoming.redelivered),
        )

    def _log(
        self, incoming: AbstractIncomingMessage, request_id: str, outcome: str, **details: object
    ) -> None:
        self._metrics.messages.labels(outcome).inc()
        ids = {"request_id": request_id, "message_id": incoming.message_id}
        self._lines.write({"outcome": outcome, **details, **ids})


def _is_of_number(result: DeliveryResult) -> bool:
    """Return whether a message has failed because its number was refused."""
    return result.resolution is None and result.answer is not None and result.answer.of_number


async def _replace(incoming: AbstractIncomingMessage, publish: Callable[[], Awaitable[None]]) -> None:
    """Acknowledge a message once a copy of it is stored; until then, keep publishing.

    If its channel is closed first, the broker delivers the message again.
    """
    while True:
        try:
            await publish()
            break
        except AMQP_FAILURES as error:
            log.warning("not_stored", error=type(error).__name__)
            if _is_closed(incoming):
                return
            await asyncio.sleep(_RETRY_PAUSE_SECONDS)
    await _acknowledge(incoming)


def _is_closed(incoming: AbstractIncomingMessage) -> bool:
    """Return whether a message's channel is closed; the library raises if it is."""
    try:
        return incoming.channel.is_closed
    except AMQP_FAILURES:
        return True


async def _acknowledge(incoming: AbstractIncomingMessage) -> None:
    """Acknowledge a message; if its channel is closed, the broker delivers it again."""
    try:
        await incoming.ack()
    except AMQP_FAILURES as error:
        log.warning("not_settled", error=type(error).__name__)
