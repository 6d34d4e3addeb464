"""Redis failures as the use cases see them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from shared.contracts.message_status import MessageStatus, MessageStatuses
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis.client import REDIS_FAILURES

log = structlog.get_logger()


@contextmanager
def redis_errors(metrics: AuthMetrics) -> Iterator[None]:
    """Turn a failure of Redis into `Unavailable`: nothing is decided without it (closed)."""
    try:
        yield
    except REDIS_FAILURES as error:
        metrics.dependency_failures.labels("redis").inc()
        log.warning("redis_failed", error=type(error).__name__)
        raise Unavailable from error


class RedisStatuses:
    """The messages' states, failing as the use cases expect."""

    def __init__(self, statuses: MessageStatuses, metrics: AuthMetrics) -> None:
        self._statuses = statuses
        self._metrics = metrics

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write a message's first state."""
        with redis_errors(self._metrics):
            await self._statuses.put(message_id, status)

    async def abandon(self, message_id: str, at: datetime) -> None:
        """Fail a message that was not queued."""
        with redis_errors(self._metrics):
            await self._statuses.abandon(message_id, at)

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return a message's state, or None for an unknown one."""
        with redis_errors(self._metrics):
            return await self._statuses.get(message_id)
