"""A change and its records: all of them are committed, or none."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from services.auth.audit.repository import AuditRepository
from services.auth.db.database import Database
from services.auth.errors import InvalidCode, WrongCredentials, WrongPassword
from services.auth.models import AuditEntry, Client
from services.auth.outbox.repository import OutboxRepository
from shared.clock import Clock
from shared.contracts.events import DomainEvent

_Result = TypeVar("_Result")


class UnitOfWork:
    """Runs changes in transactions and records them: nothing changes without its event and audit entry.

    Attributes:
        now: returns the current time.
    """

    def __init__(
        self, database: Database, outbox: OutboxRepository, audit: AuditRepository, clock: Clock
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self.now = clock

    async def run(self, change: Callable[[], Awaitable[_Result]]) -> _Result:
        """Run `change` in a transaction, and once more if it lost to a concurrent one.

        Raises:
            TransactionConflict: it lost twice; nothing was changed.
            Unavailable: the database is down; nothing was changed.
        """
        return await self._database.with_deadlock_retry(change)

    async def record(self, entry: AuditEntry, event: DomainEvent | None = None) -> None:
        """Write an audit entry, and an event to publish, in the current transaction."""
        if event is not None:
            await self._outbox.add(event)
        await self._audit.add(entry)

    async def erase_mobile(self, user_id: int, mobile: str) -> None:
        """Erase the number of a deleted account from the audit trail, in the current transaction."""
        await self._audit.erase_mobile(user_id, mobile)

    @asynccontextmanager
    async def audit_failures(self, purpose: str, mobile: str, client: Client) -> AsyncIterator[None]:
        """Write an audit entry if the block refuses a password or a code, whether or not there is an account.

        Args:
            purpose: what the proof was presented for: the purpose of the endpoint.
            mobile: the number that it was presented for.
            client: who presented it.
        """
        try:
            yield
        except (InvalidCode, WrongCredentials, WrongPassword):
            details = {"for": purpose}
            entry = AuditEntry("proof.refused", self.now(), client, None, mobile, details, repeats=True)
            await self.run(lambda: self.record(entry))
            raise
