"""Passwords: changing one, resetting one, and renewing outdated hashes."""

import asyncio
import unicodedata
from dataclasses import replace
from typing import Literal

import structlog

from services.auth.accounts.repository import UserRepository
from services.auth.codes.service import CodeService
from services.auth.errors import InvalidCode, PersonalPassword, WrongPassword
from services.auth.models import AuditEntry, Caller, Client, User
from services.auth.notices.service import NoticeService
from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.repeats import find_repeated
from services.auth.sessions.repository import SessionRepository
from services.auth.sessions.service import SessionService
from services.auth.sign_in.attempts import PasswordAttempts
from services.auth.unit_of_work import UnitOfWork
from shared.contracts.events import EndReason, PasswordChanged
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.observability.outcomes import count_outcome

_RENEWAL_SECONDS = 2.0

log = structlog.get_logger()


class PasswordService:
    """The passwords of accounts."""

    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        sessions: SessionRepository,
        session_service: SessionService,
        codes: CodeService,
        hasher: PasswordHasher,
        attempts: PasswordAttempts,
        notices: NoticeService,
        metrics: AuthMetrics,
    ) -> None:
        self._uow = uow
        self._users = users
        self._sessions = sessions
        self._session_service = session_service
        self._codes = codes
        self._hasher = hasher
        self._attempts = attempts
        self._notices = notices
        self._metrics = metrics

    async def change(self, caller: Caller, old_password: str, password: str, client: Client) -> None:
        """Set the caller's password and end the caller's other sessions.

        Raises:
            WrongPassword: the old password is wrong, or the account has none.
            TooManyAttempts: after too many wrong passwords, here or at sign-in, or too many at the same time.
            PersonalPassword: the new password is the account's number or nickname.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down, or too many checks are queued; nothing was changed.
        """
        mobile, known = caller.user.mobile, caller.user.password_hash
        with count_outcome(self._metrics.account_changes, "password_change"):
            _refuse_personal(password, caller.user)
            async with self._attempts.attempt("change_password", mobile, client):
                if not await self._hasher.verify(old_password, known):
                    raise WrongPassword
                password_hash = await self._hasher.hash(password)
                await self._uow.run(lambda: self._change(caller, known, password_hash, client))

    async def set_first(self, caller: Caller, password: str, client: Client) -> None:
        """Set the password of the caller's account, which has none, and end the caller's other sessions.

        Raises:
            ReauthenticationRequired: the session was proven too long ago.
            WrongPassword: the account has got a password meanwhile.
            PersonalPassword: the password is the account's number or nickname.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down, or too many checks are queued; nothing was changed.
        """
        with count_outcome(self._metrics.account_changes, "password_change"):
            await self._session_service.require_recent_proof(caller)
            _refuse_personal(password, caller.user)
            password_hash = await self._hasher.hash(password)
            await self._uow.run(lambda: self._change(caller, None, password_hash, client))

    async def reset(self, mobile: str, code: str, password: str, client: Client) -> None:
        """Set the password of the account whose number's code is right, and end all its sessions.

        The account is read before the code is checked, and nothing is hashed before both are there: a
        refusal takes the same steps whether or not there is an account. A client that has lost the answer may
        repeat the request within a minute; nothing changes again.

        Raises:
            InvalidCode: wrong code, unknown number or disabled account.
            TooManyAttempts: after too many wrong codes from the address, or too many at the same time.
            PersonalPassword: the new password is the account's nickname; the code stays valid.
            Unavailable: a dependency is down; the code stays valid.
        """

        async def reset(user_id: int, password_hash: str) -> None:
            user = await self._users.lock(user_id)
            if user is None or user.mobile != mobile or not user.enabled:
                raise InvalidCode
            await self._save(user, password_hash, client, "reset", keep=None, reason="password_reset")

        with count_outcome(self._metrics.account_changes, "password_reset"):
            async with self._uow.audit_failures("reset", mobile, client):
                known = await self._users.find_by_mobile(mobile)
                async with self._codes.redeem(mobile, "reset", code, client.ip) as use:
                    if known is None or not known.enabled:
                        raise InvalidCode
                    _refuse_personal(password, known)
                    # The right code proves the owner.
                    with self._hasher.turn(mobile, client.ip, proven=True):
                        if use.repeats is not None:
                            await find_repeated(self._users, self._hasher, use.repeats, mobile, password)
                            return
                        password_hash = await self._hasher.hash(password)
                    await self._uow.run(lambda: reset(known.id, password_hash))
                    use.answer = str(known.id)
        await self._notices.send("password_reset", mobile)

    async def renew_hash(self, user: User, password: str) -> None:
        """Hash a right password again if its hash has outdated parameters.

        Never raises: the sign-in succeeds without it, and the next one tries again.
        """
        if user.password_hash is None or not self._hasher.outdated(user.password_hash):
            return
        try:
            async with asyncio.timeout(_RENEWAL_SECONDS):
                renewed = await self._hasher.hash(password)
                await self._users.replace_password_hash(user.id, user.password_hash, renewed)
        except (Unavailable, TimeoutError) as error:
            log.warning("hash_not_renewed", error=type(error).__name__)

    async def _change(self, caller: Caller, known: str | None, password_hash: str, client: Client) -> None:
        """Replace the hash `known` of the caller's password, or None, in the current transaction."""
        user = await self._session_service.lock_user(caller)
        # Hashing took a while: a password that was set in between is not replaced.
        if user.password_hash != known:
            raise WrongPassword
        await self._save(
            user, password_hash, client, "change", keep=caller.session_id, reason="password_changed"
        )

    async def _save(
        self,
        user: User,
        password_hash: str,
        client: Client,
        method: Literal["change", "reset"],
        *,
        keep: str | None,
        reason: EndReason,
    ) -> None:
        """Save a locked account's new password with its records and end all sessions except `keep`."""
        now = self._uow.now()
        await self._users.save(replace(user, password_hash=password_hash))
        ended = await self._sessions.end_all(user.id, keep=keep, reason=reason, now=now)
        details = {"method": method, "sessions": ended}
        await self._uow.record(
            AuditEntry("password.changed", now, client, user.id, user.mobile, details),
            PasswordChanged(user_id=user.id, occurred_at=now, method=method),
        )


def _refuse_personal(password: str, user: User) -> None:
    """Refuse a password that anybody who knows the user would try first."""
    nickname = unicodedata.normalize("NFC", user.nickname or user.mobile)
    if password.casefold() in {user.mobile, nickname.casefold()}:
        raise PersonalPassword
