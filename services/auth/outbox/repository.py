"""The outbox in MySQL: events that are committed and still to be published."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from services.auth.db.database import Database
from services.auth.db.tables import OutboxRow, from_column, to_column
from shared.contracts.events import DomainEvent

_LOCK = "dialpass.outbox"
_LEADER_WAIT_SECONDS = 1.0
# Counting more than this would cost more than the exact number is worth.
_MAX_COUNT = 100_000


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
class OutboxBacklog:
    """The events that wait: how many (counted up to 100,000), and the time of the oldest."""

    depth: int
    oldest: datetime | None


class OutboxRepository:
    """Events, in the order in which their transactions wrote them.

    Args:
        database: where the changes are made; for the relay one of its own with a single connection,
            which a leader holds all the time.
        on_added: called after the commit of a transaction that added an event.
    """

    def __init__(self, database: Database, on_added: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._on_added = on_added
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

    async def add(self, event: DomainEvent) -> None:
        """Add an event in the current transaction: it is published if that commits, and only then.

        Events of one user get ascending ids if the transaction holds the lock of the user's row.
        """
        await self._database.insert(
            OutboxRow.insert(
                user_id=event.user_id,
                event_id=event.event_id,
                type=event.TYPE,
                body=event.model_dump_json(),
                request_id=_request_id(),
                created_at=to_column(event.occurred_at),
            )
        )
        self._database.on_commit(self._on_added)

    async def add_copies(
        self, event: DomainEvent, placeholder: str, ids: str, values: Sequence[object]
    ) -> None:
        """Add a copy of an event for each of many ids, in one statement, as `add` does.

        Args:
            event: one event of a user.
            placeholder: stands for the id in the event.
            ids: a SELECT of the ids, as `id`.
            values: the values of that SELECT.
        """
        parts = re.split(f"{event.event_id}|{placeholder}", event.model_dump_json())
        an_id = "CONVERT(id USING utf8mb4)"  # as are the other parts
        # Unique, and the same in both places.
        event_id = f"LEFT(SHA2(CONCAT(%s, {an_id}), 256), 32)"
        body = f"CONCAT(%s, {event_id}, %s, {an_id}, %s)"
        columns = "user_id, event_id, type, body, request_id, created_at"
        copies = f"SELECT %s, {event_id}, %s, {body}, %s, %s FROM ({ids}) ids"  # noqa: S608 - no values in it
        await self._database.execute(
            f"INSERT INTO `outbox` ({columns}) {copies}",
            (
                event.user_id, event.event_id, event.TYPE, parts[0], event.event_id, parts[1], parts[2],
                _request_id(), to_column(event.occurred_at), *values,
            ),
        )  # fmt: skip
        self._database.on_commit(self._on_added)

    @asynccontextmanager
    async def try_acquire_leader(self) -> AsyncIterator[bool]:
        """Try for a second to become the one process that publishes; yields whether it did."""
        async with self._database.named_lock(_LOCK, _LEADER_WAIT_SECONDS) as acquired:
            yield acquired

    async def next(self, limit: int) -> list[StoredEvent]:
        """Return the oldest events."""
        rows = await self._database.fetch_all(self._next, (limit,))
        return [_event(row) for row in rows]

    async def remove(self, ids: Sequence[int]) -> None:
        """Remove published events."""
        await self._database.update(OutboxRow.delete().where(OutboxRow.id.in_(ids)))

    async def backlog(self) -> OutboxBacklog:
        """Return the number of events that wait, and the time of the oldest."""
        row = await self._database.fetch_one(
            "SELECT COUNT(*), MIN(created_at) "
            "FROM (SELECT created_at FROM outbox ORDER BY id LIMIT %s) waiting",
            (_MAX_COUNT,),
        )
        depth, oldest = row or (0, None)
        return OutboxBacklog(depth, oldest and from_column(oldest))


def _request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _event(row: tuple[Any, ...]) -> StoredEvent:
    row_id, user_id, event_id, event_type, body, request_id, created_at = row
    return StoredEvent(row_id, user_id, event_id, event_type, body, request_id, from_column(created_at))
