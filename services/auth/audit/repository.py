"""The audit trail in MySQL: who did what from where; numbers masked and as pseudonyms, no secrets."""

import hashlib
import json

from services.auth.db.database import Database
from services.auth.db.moments import naive
from services.auth.db.tables import AuditRow
from services.auth.models import AuditEntry
from services.auth.pseudonyms import Pseudonyms
from shared.phone import mask_mobile

_FOLD_LENGTH = 32


class MysqlAudit:
    """Entries, each written in the transaction of the act that it tells of."""

    def __init__(self, database: Database, pseudonyms: Pseudonyms) -> None:
        self._database = database
        self._pseudonyms = pseudonyms

    async def record(self, entry: AuditEntry) -> None:
        """Write an entry, or count one that repeats."""
        at, mobile_key = naive(entry.at), self._pseudonyms.of(entry.mobile) if entry.mobile else ""
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
                    AuditRow.request_id: entry.client.request_id,
                }
            )
        await self._database.insert(query)

    async def forget(self, user_id: int, mobile: str) -> None:
        """Leave of a number nothing but its pseudonym: not even its masked form."""
        for of_the_number in (
            AuditRow.user_id == user_id,
            AuditRow.mobile_key == self._pseudonyms.of(mobile),
        ):
            await self._database.update(AuditRow.update(mobile="").where(of_the_number))


def _fold(entry: AuditEntry, mobile_key: str) -> str:
    """Return what entries have in common that are told as one."""
    parts = (entry.action, *sorted(map(str, entry.details.items())), mobile_key, entry.client.ip)
    hour = f"{entry.at:%Y-%m-%dT%H}"
    return hashlib.sha256("\0".join((*parts, hour)).encode()).hexdigest()[:_FOLD_LENGTH]
