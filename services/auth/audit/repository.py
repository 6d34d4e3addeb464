"""The audit trail in MySQL: who did what from where, with numbers masked and hashed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.auth.db.database import Database
from services.auth.db.tables import AuditRow, from_column, to_column
from services.auth.keyed_hash import KeyedHash
from services.auth.models import AuditEntry
from shared.phone import mask_mobile

_FOLD_LENGTH = 32


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A stored entry: its number is masked, or empty if the account has been erased."""

    at: datetime
    action: str
    user_id: int | None
    mobile: str
    ip: str
    user_agent: str
    request_id: str
    details: Mapping[str, Any]
    times: int


class AuditRepository:
    """The entries, each written in the transaction of the change that it describes.

    Args:
        database: where the changes are made.
        keyed_hash: hashes numbers, so that entries are found by number.
    """

    def __init__(self, database: Database, keyed_hash: KeyedHash) -> None:
        self._database = database
        self._hash = keyed_hash

    async def add(self, entry: AuditEntry) -> None:
        """Write an entry, or increment the counter of an equal one if it repeats."""
        at = to_column(entry.at)
        mobile_key = self._hash.audit_mobile(entry.mobile) if entry.mobile else ""
        query = AuditRow.insert(
            at=at,
            action=entry.action,
            user_id=entry.user_id,
            mobile=mask_mobile(entry.mobile) if entry.mobile else "",
            mobile_key=mobile_key,
            ip=entry.client.ip,
            user_agent=entry.client.user_agent,
            request_id=entry.client.request_id,
            details=json.dumps(dict(entry.details), ensure_ascii=False),
            fold=_fold(entry, mobile_key) if entry.repeats else None,
        )
        if entry.repeats:
            query = query.on_conflict(
                update={
                    AuditRow.times: AuditRow.times + 1,
                    AuditRow.at: at,
                    AuditRow.ip: entry.client.ip,
                    AuditRow.user_agent: entry.client.user_agent,
                    AuditRow.request_id: entry.client.request_id,
                }
            )
        await self._database.insert(query)

    async def erase_mobile(self, user_id: int, mobile: str) -> None:
        """Erase the masked number from all entries of an account or number; its hash stays."""
        for condition in (
            AuditRow.user_id == user_id,
            AuditRow.mobile_key == self._hash.audit_mobile(mobile),
        ):
            await self._database.update(AuditRow.update(mobile="").where(condition))

    async def find(
        self, *, user_id: int | None, mobile: str | None, since: datetime | None, limit: int
    ) -> list[AuditRecord]:
        """Return the newest entries that match all given conditions, oldest first."""
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
            query = query.where(AuditRow.mobile_key == self._hash.audit_mobile(mobile))
        if since is not None:
            query = query.where(AuditRow.at >= to_column(since))
        newest = query.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)
        return [_record(row) for row in reversed(await self._database.select(newest))]


def _fold(entry: AuditEntry, mobile_key: str) -> str:
    """Return the unique key of equal entries within an hour, from whatever addresses."""
    parts = (entry.action, *sorted(map(str, entry.details.items())), mobile_key)
    hour = f"{entry.at:%Y-%m-%dT%H}"
    return hashlib.sha256("\0".join((*parts, hour)).encode()).hexdigest()[:_FOLD_LENGTH]


def _record(row: tuple[Any, ...]) -> AuditRecord:
    at, action, user_id, mobile, ip, user_agent, request_id, details, times = row
    return AuditRecord(
        from_column(at), action, user_id, mobile, ip, user_agent, request_id, json.loads(details), times
    )
