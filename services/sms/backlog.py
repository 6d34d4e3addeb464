"""Showing how much waits, and how long, while nothing is consumed too."""

import asyncio
from collections.abc import Sequence

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from services.sms.delivery.open_messages import OpenMessages
from shared.amqp.connection import AmqpLink
from shared.amqp.topology import declare_sms_topology, declare_wait_queues, sms_queues
from shared.clock import now
from shared.observability.metrics import BacklogMetrics
from shared.tasks import cancel

_INTERVAL_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger()


class BacklogMonitor:
    """Looks at the queues and the ledger's index every ten seconds, on a connection of its own.

    A dependency that does not answer leaves the figures as they were: its absence is told elsewhere.
    """

    def __init__(
        self, urls: Sequence[str], delays: Sequence[float], messages: OpenMessages, metrics: BacklogMetrics
    ) -> None:
        self._link = AmqpLink(urls, self._set_up, "dialpass-sms-monitor")
        self._delays = delays
        self._messages = messages
        self._metrics = metrics
        self._channel: AbstractChannel | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._link.start()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            await cancel(self._task)
        await self._link.close()

    async def _set_up(self, connection: AbstractConnection) -> None:
        channel = await connection.channel()
        channel.close_callbacks.add(self._link.reset)
        # A queue that is not there would close the channel at each look.
        await declare_sms_topology(channel)
        await declare_wait_queues(channel, self._delays)
        self._channel = channel

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await self._look_at_ledger()
                    await self._look_at_queues()
            except Exception as error:  # noqa: BLE001 - it must never stop looking
                log.debug("backlog_unknown", error=type(error).__name__)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _look_at_ledger(self) -> None:
        backlog = await self._messages.backlog(now())
        self._metrics.open_messages.set(backlog.count)
        self._metrics.oldest_seconds.set(backlog.oldest_seconds)

    async def _look_at_queues(self) -> None:
        await self._link.wait_up()
        if self._channel is None:
            return
        for name in sms_queues(self._delays):
            declared = await self._channel.declare_queue(name, passive=True)
            self._metrics.depth.labels(name).set(declared.declaration_result.message_count or 0)
