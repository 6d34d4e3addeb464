"""The accounts in MySQL."""

from typing import Any

from services.auth.db.database import Database
from services.auth.db.errors import DuplicateKey
from services.auth.db.tables import SessionRow, UserRow, from_column, not_ended, to_column
from services.auth.errors import AlreadyRegistered
from services.auth.models import NewUser, User


class UserRepository:
    """Accounts by number and by id; the unique index on the number decides races."""

    def __init__(self, database: Database) -> None:
        self._database = database
        columns = (
            UserRow.id,
            UserRow.mobile,
            UserRow.password_hash,
            UserRow.nickname,
            UserRow.avatar,
            UserRow.disabled_at,
            UserRow.created_at,
            UserRow.sessions_valid_from,
            UserRow.sessions_kept,
        )
        self._by_mobile = database.compile(UserRow.select(*columns).where(UserRow.mobile == ""))
        by_id = UserRow.select(*columns).where(UserRow.id == 0)
        self._by_id = database.compile(by_id)
        self._locked = database.compile(by_id.for_update())
        of_session = (SessionRow.user_id == UserRow.id) & (SessionRow.id == "") & not_ended()
        self._by_session = database.compile(by_id.join(SessionRow, on=of_session))

    async def add(self, user: NewUser) -> int:
        """Store an account and return its id.

        Raises:
            AlreadyRegistered: the number has an account.
        """
        query = UserRow.insert(
            mobile=user.mobile,
            password_hash=user.password_hash,
            nickname=user.nickname,
            avatar=user.avatar,
            created_at=to_column(user.created_at),
        )
        try:
            return await self._database.insert(query)
        except DuplicateKey as error:
            raise AlreadyRegistered from error

    async def find_by_mobile(self, mobile: str) -> User | None:
        """Return the account of a number or None."""
        return _user(await self._database.fetch_one(self._by_mobile, (mobile,)))

    async def find_by_id(self, user_id: int) -> User | None:
        """Return the account with an id or None."""
        return _user(await self._database.fetch_one(self._by_id, (user_id,)))

    async def find_by_session(self, user_id: int, session_id: str) -> User | None:
        """Return the account with an id, or None if it does not exist or this session of it has ended."""
        return _user(await self._database.fetch_one(self._by_session, (session_id, user_id)))

    async def lock(self, user_id: int) -> User | None:
        """Return the account with an id or None, locked until the current transaction ends."""
        return _user(await self._database.fetch_one(self._locked, (user_id,)))

    async def replace_password_hash(self, user_id: int, old: str, new: str) -> bool:
        """Write a new hash of the same password; return False if the password was changed meanwhile."""
        unchanged = (UserRow.id == user_id) & (UserRow.password_hash == old)
        return await self._database.update(UserRow.update(password_hash=new).where(unchanged)) > 0

    async def save(self, user: User) -> None:
        """Write the columns of a locked account that changes affect.

        Raises:
            AlreadyRegistered: another account has the number.
        """
        query = UserRow.update(
            mobile=user.mobile,
            password_hash=user.password_hash,
            nickname=user.nickname,
            avatar=user.avatar,
            disabled_at=user.disabled_at and to_column(user.disabled_at),
        ).where(UserRow.id == user.id)
        try:
            await self._database.update(query)
        except DuplicateKey as error:
            raise AlreadyRegistered from error

    async def remove(self, user_id: int) -> None:
        """Remove a locked account; its number becomes free."""
        await self._database.update(UserRow.delete().where(UserRow.id == user_id))


def _user(row: tuple[Any, ...] | None) -> User | None:
    if row is None:
        return None
    user_id, mobile, password_hash, nickname, avatar, disabled_at, created_at, valid_from, kept = row
    return User(
        id=user_id,
        mobile=mobile,
        password_hash=password_hash,
        nickname=nickname,
        avatar=avatar,
        disabled_at=disabled_at and from_column(disabled_at),
        created_at=from_column(created_at),
        sessions_valid_from=valid_from and from_column(valid_from),
        sessions_kept=kept,
    )
