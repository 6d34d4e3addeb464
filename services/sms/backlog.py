"""Measuring how many messages wait, and for how long, also while none is consumed."""

import asyncio
from collections.abc import Sequence

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from services.sms.delivery.repository import MessageRepository
from shared.amqp.connection import AmqpLink
from shared.amqp.failures import broker_failures
from shared.amqp.topology import declare_sms_topology, declare_wait_queues, sms_queues
from shared.clock import now
from shared.observability.metrics import BacklogMetrics
from shared.tasks import cancel, supervise

_INTERVAL_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger()


class BacklogMonitor:
    """Measures the queues and the open messages every ten seconds, on its own connection.

    While a dependency is unavailable the metrics keep their values: readiness reports it.

    Args:
        urls: the broker's nodes.
        delays: the delays of the wait queues, in seconds.
        repository: the messages' records.
        metrics: what is set.
    """

    def __init__(
        self,
        urls: Sequence[str],
        delays: Sequence[float],
        repository: MessageRepository,
        metrics: BacklogMetrics,
    ) -> None:
        self._link = AmqpLink(urls, self._set_up, "dialpass-sms-monitor")
        self._delays = delays
        self._repository = repository
        self._metrics = metrics
        self._channel: AbstractChannel | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start in the background."""
        self._link.start()
        self._task = asyncio.create_task(supervise("backlog", self._run))

    async def close(self) -> None:
        """Stop and disconnect."""
        if self._task is not None:
            await cancel(self._task)
        await self._link.close()

    async def _set_up(self, connection: AbstractConnection) -> None:
        channel = await connection.channel()
        channel.close_callbacks.add(self._link.reset)
        # A passive declaration of a missing queue would close the channel.
        await declare_sms_topology(channel)
        await declare_wait_queues(channel, self._delays)
        self._channel = channel

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await self._measure_open_messages()
                    await self._measure_queues()
            except Exception as error:  # noqa: BLE001 - it must never stop measuring
                log.debug("backlog_unknown", error=type(error).__name__)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _measure_open_messages(self) -> None:
        messages = await self._repository.open_messages(now())
        self._metrics.open_messages.set(messages.count)
        self._metrics.oldest_seconds.set(messages.oldest_seconds)

    async def _measure_queues(self) -> None:
        await self._link.wait_up()
        if self._channel is None:
            return
        for name in sms_queues(self._delays):
            with broker_failures():
                declared = await self._channel.declare_queue(name, passive=True)
            self._metrics.depth.labels(name).set(declared.declaration_result.message_count or 0)
