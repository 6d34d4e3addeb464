"""The outbox's writing end: an event becomes a row in the transaction of what it tells of."""

from collections.abc import Callable

import structlog

from services.auth.db.database import Database
from services.auth.db.moments import naive
from services.auth.db.tables import OutboxRow
from shared.contracts.events import DomainEvent


class MysqlEvents:
    """Events on their way out: committed or rolled back together with the change.

    Args:
        database: where the change is made.
        wake: called after the commit, so that the relay need not wait for its next look.
    """

    def __init__(self, database: Database, wake: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._wake = wake

    async def record(self, event: DomainEvent) -> None:
        """Write an event; rows of one user get ascending ids where its row in `users` is locked."""
        await self._database.insert(
            OutboxRow.insert(
                user_id=event.user_id,
                event_id=event.event_id,
                type=event.TYPE,
                body=event.model_dump_json(),
                request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
                created_at=naive(event.occurred_at),
            )
        )
        self._database.on_commit(self._wake)
