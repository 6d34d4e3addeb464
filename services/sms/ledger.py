"""The record of each message in Redis, patient: a message waits here for Redis rather than be lost."""

import stamina

from shared.message_status import MessageStatus, MessageStatuses
from shared.redis_client import REDIS_FAILURES

_FIRST_WAIT_SECONDS = 0.1
_MAX_WAIT_SECONDS = 2.0

_until_redis_answers = stamina.retry(
    on=REDIS_FAILURES,
    attempts=None,
    timeout=None,
    wait_initial=_FIRST_WAIT_SECONDS,
    wait_max=_MAX_WAIT_SECONDS,
)


class PatientLedger:
    """Tries until Redis answers.

    Sending without a record could send twice, so the worker holds its messages unacknowledged
    meanwhile. They are bounded by its concurrency, the rest waits at the broker, and a shutdown
    gives them back.
    """

    def __init__(self, statuses: MessageStatuses) -> None:
        self._statuses = statuses

    @_until_redis_answers
    async def get(self, message_id: str) -> MessageStatus | None:
        """Return a message's record."""
        return await self._statuses.get(message_id)

    @_until_redis_answers
    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write a message's record."""
        await self._statuses.put(message_id, status)
