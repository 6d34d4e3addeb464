"""Accounts in their owners' hands: registration, profile, change of number, deletion."""

from collections.abc import Mapping
from dataclasses import replace

from services.auth.accounts.administration import AccountAdministration
from services.auth.accounts.repository import UserRepository
from services.auth.codes.service import CodeService
from services.auth.errors import AlreadyRegistered, InvalidCode
from services.auth.models import AuditEntry, Caller, Client, NewUser, ProfileMember, User
from services.auth.notices.service import NoticeService
from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.repeats import find_repeated
from services.auth.sessions.service import SessionService
from services.auth.unit_of_work import UnitOfWork
from shared.contracts.events import (
    MobileChanged,
    ProfileChanged,
    SignInMethod,
    UserRegistered,
)
from shared.observability.metrics import AuthMetrics
from shared.observability.outcomes import count_outcome
from shared.phone import mask_mobile


class AccountService:
    """What the owners of accounts do."""

    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        administration: AccountAdministration,
        sessions: SessionService,
        codes: CodeService,
        hasher: PasswordHasher,
        notices: NoticeService,
        metrics: AuthMetrics,
    ) -> None:
        self._uow = uow
        self._users = users
        self._administration = administration
        self._sessions = sessions
        self._codes = codes
        self._hasher = hasher
        self._notices = notices
        self._metrics = metrics

    async def register(
        self,
        mobile: str,
        code: str,
        password: str,
        client: Client,
        *,
        nickname: str | None = None,
        avatar: str | None = None,
    ) -> int:
        """Create the account of a number whose code is right, and return its id.

        A client that has lost the answer may repeat the request within a minute, and gets the same one.

        Raises:
            InvalidCode: checked first, so that only the owner of a number learns whether it is registered.
            TooManyAttempts: after too many wrong codes from the address, or too many at the same time.
            AlreadyRegistered: the number has an account.
            Unavailable: a dependency is down; the code stays valid.
        """
        with count_outcome(self._metrics.registrations):
            async with (
                self._uow.audit_failures("register", mobile, client),
                self._codes.redeem(mobile, "register", code, client.ip) as use,
            ):
                # The right code proves the owner.
                with self._hasher.turn(mobile, client.ip, proven=True):
                    if use.repeats is not None:
                        users, user_id = self._users, use.repeats
                        return (await find_repeated(users, self._hasher, user_id, mobile, password)).id
                    password_hash = await self._hasher.hash(password)
                user = NewUser(mobile, password_hash, nickname, avatar, self._uow.now())
                created = await self._uow.run(lambda: self.create(user, client, "password"))
                use.answer = str(created)
                return created

    async def create(self, user: NewUser, client: Client, method: SignInMethod) -> int:
        """Store an account with its records in the current transaction, and return its id.

        Raises:
            AlreadyRegistered: the number has an account.
        """
        user_id = await self._users.add(user)
        details = {"method": method}
        await self._uow.record(
            AuditEntry("user.registered", user.created_at, client, user_id, user.mobile, details),
            UserRegistered(
                user_id=user_id, occurred_at=user.created_at, mobile=mask_mobile(user.mobile), method=method
            ),
        )
        return user_id

    async def change_profile(
        self, caller: Caller, changes: Mapping[ProfileMember, str | None], client: Client
    ) -> User:
        """Change the given members of the profile, where None removes one, and return the account.

        Raises:
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: the database is down; nothing was changed.
        """

        async def change() -> User:
            now, user = self._uow.now(), await self._sessions.lock_user(caller)
            new = replace(
                user,
                nickname=changes.get("nickname", user.nickname),
                avatar=changes.get("avatar", user.avatar),
            )
            members = [member for member in changes if getattr(new, member) != getattr(user, member)]
            if not members:
                return user
            await self._users.save(new)
            details = {"members": ", ".join(members)}
            await self._uow.record(
                AuditEntry("profile.changed", now, client, user.id, user.mobile, details),
                ProfileChanged(user_id=user.id, occurred_at=now, members=members),
            )
            return new

        with count_outcome(self._metrics.account_changes, "profile"):
            return await self._uow.run(change)

    async def change_mobile(self, caller: Caller, mobile: str, code: str, client: Client) -> None:
        """Move the caller's account to a number whose code is right, and end the caller's other sessions.

        A client that has lost the answer may repeat the request within a minute; nothing changes again.

        Raises:
            ReauthenticationRequired: the session was proven too long ago; checked before the code.
            InvalidCode: checked first, so that only the owner of the new number learns whether it is taken.
            TooManyAttempts: after too many wrong codes from the address.
            AlreadyRegistered: an account has the number, possibly the caller's own.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down; the code stays valid.
        """

        async def change() -> str:
            now, user = self._uow.now(), await self._sessions.lock_user(caller)
            if user.mobile == mobile:
                raise AlreadyRegistered
            await self._users.save(replace(user, mobile=mobile))
            ended = await self._sessions.end_all_but(caller, "mobile_changed", now)
            event = MobileChanged(user_id=user.id, occurred_at=now, mobile=mask_mobile(mobile))
            details = {"sessions": ended}
            await self._uow.record(AuditEntry("mobile.changed", now, client, user.id, mobile, details), event)
            return user.mobile

        with count_outcome(self._metrics.account_changes, "mobile"):
            await self._sessions.require_recent_proof(caller)
            async with (
                self._uow.audit_failures("change_mobile", mobile, client),
                self._codes.redeem(mobile, "change_mobile", code, client.ip) as use,
            ):
                if use.repeats is not None:
                    user = await self._users.find_by_mobile(mobile)
                    if user is None or not use.repeats == str(user.id) == str(caller.user.id):
                        raise InvalidCode
                    return
                old_mobile = await self._uow.run(change)
                use.answer = str(caller.user.id)
        await self._notices.send("mobile_changed", old_mobile)

    async def delete(self, caller: Caller, code: str, client: Client) -> None:
        """Delete the caller's account, given a code that was sent to its number.

        Raises:
            ReauthenticationRequired: the session was proven too long ago; checked before the code.
            InvalidCode: the code is wrong.
            TooManyAttempts: after too many wrong codes from the address.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down; nothing was changed and the code stays valid.
        """

        async def delete() -> None:
            await self._administration.erase(await self._sessions.lock_user(caller), client)

        mobile = caller.user.mobile
        with count_outcome(self._metrics.account_changes, "deletion"):
            await self._sessions.require_recent_proof(caller)
            async with (
                self._uow.audit_failures("delete", mobile, client),
                self._codes.redeem(mobile, "delete", code, client.ip),
            ):
                await self._uow.run(delete)
        await self._notices.send("account_deleted", mobile)
