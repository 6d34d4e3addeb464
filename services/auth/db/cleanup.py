"""Removing what has run out: sessions, ended sessions whose tokens are all gone, old audit entries."""

import asyncio
import random
from datetime import timedelta

import structlog

from services.auth.db.database import Database
from services.auth.db.moments import naive
from services.auth.db.tables import AuditRow, EndedSessionRow, SessionRow
from shared.clock import Clock
from shared.errors import Unavailable

_PAUSE_SECONDS = 60.0
# Small enough to hold no lock for long; the next round takes the next ones.
_BATCH = 1000
# Nobody asks for an ended session that long after its last token.
_KEPT_SECONDS = 3600

log = structlog.get_logger()


async def keep_house(database: Database, clock: Clock, audit_kept: timedelta) -> None:
    """Tidy up for ever; several replicas may do it at once."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the replicas
        try:
            removed = await tidy_up(database, clock, audit_kept)
        except Unavailable:
            continue  # the next round finds the same rows
        if removed:
            log.info("expired_rows_removed", rows=removed)


async def tidy_up(database: Database, clock: Clock, audit_kept: timedelta) -> int:
    """Remove a batch of each and return how many rows there were."""
    now = clock()
    over = SessionRow.delete().where(SessionRow.expires_at < naive(now)).limit(_BATCH)
    forgotten_at = naive(now - timedelta(seconds=_KEPT_SECONDS))
    forgotten = EndedSessionRow.delete().where(EndedSessionRow.expires_at < forgotten_at).limit(_BATCH)
    told = AuditRow.delete().where(AuditRow.at < naive(now - audit_kept)).limit(_BATCH)
    return sum([await database.update(query) for query in (over, forgotten, told)])
