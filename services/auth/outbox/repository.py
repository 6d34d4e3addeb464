"""The outbox's reading end: events that are committed and still to be published."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.auth.db.database import Database
from services.auth.db.moments import aware
from services.auth.db.tables import OutboxRow

_LOCK = "dialpass.outbox"
_TURN_SECONDS = 1.0
# Counting more than this would cost more than the exact number is worth.
_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the outbox."""

    id: int
    user_id: int
    event_id: str
    type: str
    body: str
    request_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: how many events (at most 100,000 are counted), and since when."""

    depth: int
    oldest: datetime | None


class MysqlOutbox:
    """Events in the order in which their transactions wrote them.

    Args:
        database: best one of its own with a single connection, which a turn holds all the time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        columns = (
            OutboxRow.id,
            OutboxRow.user_id,
            OutboxRow.event_id,
            OutboxRow.type,
            OutboxRow.body,
            OutboxRow.request_id,
            OutboxRow.created_at,
        )
        self._next = database.compile(OutboxRow.select(*columns).order_by(OutboxRow.id).limit(1))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Wait a second to be the one process that publishes; yields whether it is."""
        async with self._database.exclusive(_LOCK, _TURN_SECONDS) as mine:
            yield mine

    async def next(self, limit: int) -> list[StoredEvent]:
        """Return the oldest events."""
        rows = await self._database.fetch_all(self._next, (limit,))
        return [_event(row) for row in rows]

    async def remove(self, ids: Sequence[int]) -> None:
        """Forget events that are published."""
        await self._database.update(OutboxRow.delete().where(OutboxRow.id.in_(ids)))

    async def backlog(self) -> Backlog:
        """Return how much waits."""
        row = await self._database.fetch_one(
            "SELECT COUNT(*), MIN(created_at) "
            "FROM (SELECT created_at FROM outbox ORDER BY id LIMIT %s) waiting",
            (_COUNTED,),
        )
        depth, oldest = row or (0, None)
        return Backlog(depth, oldest and aware(oldest))


def _event(row: tuple[Any, ...]) -> StoredEvent:
    row_id, user_id, event_id, event_type, body, request_id, created_at = row
    return StoredEvent(row_id, user_id, event_id, event_type, body, request_id, aware(created_at))
