"""Removing expired rows: sessions, ended sessions without valid tokens, old audit entries."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import peewee
import structlog

from services.auth.db.database import Database
from services.auth.db.tables import AuditRow, EndedSessionRow, SessionRow, to_column
from shared.clock import Clock
from shared.errors import Unavailable

_PAUSE_SECONDS = 60.0
# Small enough not to hold locks for long; batches follow each other until nothing is left.
_BATCH = 1000
# Between two batches, so that requests get the disk and the locks as well.
_BREATH_SECONDS = 0.02
# Gateways do not ask for an ended session that long after its last token has expired.
_ENDED_KEPT_SECONDS = 3600

log = structlog.get_logger()


class Cleanup:
    """Removes expired rows in batches; several replicas may do it at once.

    Args:
        database: holds the rows.
        audit_retention: how long audit entries are kept.
        clock: returns the current time.
        remove_marked: removes sessions that a mark has ended, and returns how many, 0 for no more.
    """

    def __init__(
        self,
        database: Database,
        audit_retention: timedelta,
        clock: Clock,
        remove_marked: Callable[[datetime], Awaitable[int]] | None = None,
    ) -> None:
        self._database = database
        self._audit_retention = audit_retention
        self._clock = clock
        self._remove_marked = remove_marked

    async def run(self) -> None:
        """Remove expired rows about once a minute until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the replicas
            try:
                removed = await self.remove_expired()
            except Unavailable:
                continue  # the next round finds the same rows
            if removed:
                log.info("expired_rows_removed", rows=removed)

    async def remove_expired(self) -> int:
        """Remove everything that has expired, in batches, and return the number of rows."""
        now = self._clock()
        sessions = SessionRow.delete().where(SessionRow.expires_at < to_column(now)).limit(_BATCH)
        ended_before = to_column(now - timedelta(seconds=_ENDED_KEPT_SECONDS))
        ended = EndedSessionRow.delete().where(EndedSessionRow.expires_at < ended_before).limit(_BATCH)
        audit = AuditRow.delete().where(AuditRow.at < to_column(now - self._audit_retention)).limit(_BATCH)
        removed = sum([await self._remove_all(query) for query in (sessions, ended, audit)])
        while self._remove_marked is not None and (marked := await self._remove_marked(now)):
            removed += marked
        return removed

    async def _remove_all(self, batch: peewee.Delete) -> int:
        removed = 0
        while True:
            number = await self._database.update(batch)
            removed += number
            if number < _BATCH:
                return removed
            await asyncio.sleep(_BREATH_SECONDS)
