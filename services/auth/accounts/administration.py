"""Administration of accounts by operators: disabling, enabling, deleting."""

from dataclasses import replace
from datetime import datetime

from services.auth.accounts.repository import UserRepository
from services.auth.audit.repository import AuditRepository
from services.auth.db.database import Database
from services.auth.models import AuditEntry, Client, User
from services.auth.outbox.repository import OutboxRepository
from services.auth.sessions.repository import SessionRepository
from shared.clock import Clock
from shared.contracts.events import UserDeleted, UserDisabled, UserEnabled
from shared.errors import NotFound


class AccountAdministration:
    """What operators do to accounts.

    Every method raises `Unavailable` if the database is down, and then has changed nothing.

    Args:
        database: runs transactions.
        users: the accounts.
        sessions: the sessions that disabling and deletion end.
        outbox: takes domain events.
        audit: takes audit entries.
        clock: returns the current time.
    """

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        sessions: SessionRepository,
        outbox: OutboxRepository,
        audit: AuditRepository,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._sessions = sessions
        self._outbox = outbox
        self._audit = audit
        self._clock = clock

    async def find(self, mobile: str) -> User:
        """Return the account of a number.

        Raises:
            NotFound: the number has no account.
        """
        user = await self._users.find_by_mobile(mobile)
        if user is None:
            raise NotFound
        return user

    async def disable(self, user_id: int, client: Client) -> User:
        """Disable an account, end its sessions and return it; a disabled one stays as it is.

        Raises:
            NotFound: there is no such account.
        """

        async def disable() -> User:
            now, user = self._clock(), await self._lock(user_id)
            if not user.enabled:
                return user
            ended = await self._sessions.end_all(user.id, keep=None, reason="disabled", now=now)
            await self._outbox.add(UserDisabled(user_id=user.id, occurred_at=now))
            details = {"sessions": ended}
            await self._audit.add(AuditEntry("user.disabled", now, client, user.id, user.mobile, details))
            return await self._save(user, disabled_at=now)

        return await self._database.with_deadlock_retry(disable)

    async def enable(self, user_id: int, client: Client) -> User:
        """Enable an account and return it; an enabled one stays as it is.

        Raises:
            NotFound: there is no such account.
        """

        async def enable() -> User:
            now, user = self._clock(), await self._lock(user_id)
            if user.enabled:
                return user
            await self._outbox.add(UserEnabled(user_id=user.id, occurred_at=now))
            await self._audit.add(AuditEntry("user.enabled", now, client, user.id, user.mobile))
            return await self._save(user, disabled_at=None)

        return await self._database.with_deadlock_retry(enable)

    async def delete(self, user_id: int, client: Client) -> None:
        """Delete an account, its sessions and its personal data.

        Raises:
            NotFound: there is no such account.
        """

        async def delete() -> None:
            await self.erase(await self._lock(user_id), client)

        await self._database.with_deadlock_retry(delete)

    async def erase(self, user: User, client: Client) -> None:
        """Erase an account in the current transaction, which holds its lock; its number becomes free.

        Only the audit trail remains, in which a keyed hash stands for the number until the entries expire.
        """
        now = self._clock()
        await self._sessions.end_all(user.id, keep=None, reason="deleted", now=now)
        await self._audit.add(AuditEntry("user.deleted", now, client, user.id, user.mobile))
        await self._audit.erase_mobile(user.id, user.mobile)
        await self._outbox.add(UserDeleted(user_id=user.id, occurred_at=now))
        await self._users.remove(user.id)

    async def _lock(self, user_id: int) -> User:
        user = await self._users.lock(user_id)
        if user is None:
            raise NotFound
        return user

    async def _save(self, user: User, *, disabled_at: datetime | None) -> User:
        changed = replace(user, disabled_at=disabled_at)
        await self._users.save(changed)
        return changed
