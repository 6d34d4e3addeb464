"""The audit trail in MySQL: who did what from where; numbers masked and as pseudonyms, no secrets."""

import json
from datetime import UTC

from services.auth.database import Database
from services.auth.domain import AuditEntry
from services.auth.models import AuditRow
from services.auth.pseudonyms import Pseudonyms
from shared.phone import mask_mobile


class MysqlAudit:
    """Entries, each written in the transaction of the act that it tells of."""

    def __init__(self, database: Database, pseudonyms: Pseudonyms) -> None:
        self._database = database
        self._pseudonyms = pseudonyms

    async def record(self, entry: AuditEntry) -> None:
        """Write an entry."""
        await self._database.insert(
            AuditRow.insert(
                at=entry.at.astimezone(UTC).replace(tzinfo=None),
                action=entry.action,
                user_id=entry.user_id,
                mobile=mask_mobile(entry.mobile) if entry.mobile else "",
                mobile_key=self._pseudonyms.of(entry.mobile) if entry.mobile else "",
                ip=entry.client.ip,
                user_agent=entry.client.user_agent,
                request_id=entry.client.request_id,
                details=json.dumps(dict(entry.details), ensure_ascii=False),
            )
        )
