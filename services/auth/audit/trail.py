"""The audit trail's reading end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.auth.db.database import Database
from services.auth.db.moments import aware, naive
from services.auth.db.tables import AuditRow
from services.auth.pseudonyms import Pseudonyms


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry as it is kept: the number masked, or nothing where its account has been erased."""

    at: datetime
    action: str
    user_id: int | None
    mobile: str
    ip: str
    user_agent: str
    request_id: str
    details: Mapping[str, Any]
    times: int


class MysqlAuditTrail:
    """Entries by account, number and time."""

    def __init__(self, database: Database, pseudonyms: Pseudonyms) -> None:
        self._database = database
        self._pseudonyms = pseudonyms

    async def find(
        self, *, user_id: int | None, mobile: str | None, since: datetime | None, limit: int
    ) -> list[AuditRecord]:
        """Return the newest entries that fit everything that is given, the oldest of them first."""
        query = AuditRow.select(
            AuditRow.at,
            AuditRow.action,
            AuditRow.user_id,
            AuditRow.mobile,
            AuditRow.ip,
            AuditRow.user_agent,
            AuditRow.request_id,
            AuditRow.details,
            AuditRow.times,
        )
        if user_id is not None:
            query = query.where(AuditRow.user_id == user_id)
        if mobile is not None:
            query = query.where(AuditRow.mobile_key == self._pseudonyms.of(mobile))
        if since is not None:
            query = query.where(AuditRow.at >= naive(since))
        newest = query.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)
        return [_record(row) for row in reversed(await self._database.select(newest))]


def _record(row: tuple[Any, ...]) -> AuditRecord:
    at, action, user_id, mobile, ip, user_agent, request_id, details, times = row
    return AuditRecord(
        aware(at), action, user_id, mobile, ip, user_agent, request_id, json.loads(details), times
    )
