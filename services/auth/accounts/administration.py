"""Administration of accounts by operators: disabling, enabling, deleting."""

from dataclasses import replace
from datetime import datetime

from services.auth.accounts.repository import UserRepository
from services.auth.models import AuditEntry, Client, User
from services.auth.sessions.repository import SessionRepository
from services.auth.unit_of_work import UnitOfWork
from shared.contracts.events import UserDeleted, UserDisabled, UserEnabled
from shared.errors import NotFound


class AccountAdministration:
    """What operators do to accounts.

    Every method raises `Unavailable` if the database is down, and then has changed nothing.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        sessions: SessionRepository,
    ) -> None:
        self._uow = uow
        self._users = users
        self._sessions = sessions

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
            now, user = self._uow.now(), await self._lock(user_id)
            if not user.enabled:
                return user
            ended = await self._sessions.end_all(user.id, keep=None, reason="disabled", now=now)
            details = {"sessions": ended}
            await self._uow.record(
                AuditEntry("user.disabled", now, client, user.id, user.mobile, details),
                UserDisabled(user_id=user.id, occurred_at=now),
            )
            return await self._save(user, disabled_at=now)

        return await self._uow.run(disable)

    async def enable(self, user_id: int, client: Client) -> User:
        """Enable an account and return it; an enabled one stays as it is.

        Raises:
            NotFound: there is no such account.
        """

        async def enable() -> User:
            now, user = self._uow.now(), await self._lock(user_id)
            if user.enabled:
                return user
            await self._uow.record(
                AuditEntry("user.enabled", now, client, user.id, user.mobile),
                UserEnabled(user_id=user.id, occurred_at=now),
            )
            return await self._save(user, disabled_at=None)

        return await self._uow.run(enable)

    async def delete(self, user_id: int, client: Client) -> None:
        """Delete an account, its sessions and its personal data.

        Raises:
            NotFound: there is no such account.
        """

        async def delete() -> None:
            await self.erase(await self._lock(user_id), client)

        await self._uow.run(delete)

    async def erase(self, user: User, client: Client) -> None:
        """Erase an account in the current transaction, which holds its lock; its number becomes free.

        Only the audit trail remains, in which a keyed hash stands for the number until the entries expire.
        """
        now = self._uow.now()
        while await self._sessions.end_all(user.id, keep=None, reason="deleted", now=now):
            pass  # removing the account would remove the rest without a trace
        await self._uow.record(
            AuditEntry("user.deleted", now, client, user.id, user.mobile),
            UserDeleted(user_id=user.id, occurred_at=now),
        )
        await self._uow.erase_mobile(user.id, user.mobile)
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
