"""Step-up: the owner of a session gives the password or a code again (RFC 9470)."""

from services.auth.codes.service import CodeService
from services.auth.errors import InvalidCode, WrongPassword
from services.auth.models import Caller, Client, SignedIn
from services.auth.passwords.hasher import PasswordHasher
from services.auth.sessions.service import SessionService
from services.auth.sign_in.attempts import PasswordAttempts
from services.auth.unit_of_work import UnitOfWork
from shared.contracts.messages import Purpose
from shared.observability.metrics import AuthMetrics
from shared.observability.outcomes import count_outcome

_PURPOSE: Purpose = "confirm"


class ReauthenticationService:
    """Renews the proof of sessions."""

    def __init__(
        self,
        uow: UnitOfWork,
        sessions: SessionService,
        codes: CodeService,
        hasher: PasswordHasher,
        attempts: PasswordAttempts,
        metrics: AuthMetrics,
    ) -> None:
        self._uow = uow
        self._sessions = sessions
        self._codes = codes
        self._hasher = hasher
        self._attempts = attempts
        self._metrics = metrics

    async def with_password(self, caller: Caller, password: str, client: Client) -> SignedIn:
        """Renew the caller's session, given the account's password.

        Raises:
            WrongPassword: it is wrong, or the account has none.
            TooManyAttempts: after too many wrong passwords, here or at sign-in.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down, or too many checks are queued.
        """

        async def prove() -> SignedIn:
            now, user = self._uow.now(), await self._sessions.lock_user(caller)
            # The check took a while: the password may have been changed because it was known to others.
            if user.password_hash != known:
                raise WrongPassword("password")
            return await self._sessions.prove(user, caller.session_id, client, now, "password")

        mobile, known = caller.user.mobile, caller.user.password_hash
        with count_outcome(self._metrics.reauthentications):
            async with self._attempts.attempt(_PURPOSE, mobile, client):
                if not await self._hasher.verify(password, known):
                    raise WrongPassword("password")
                return await self._uow.run(prove)

    async def with_code(self, caller: Caller, code: str, client: Client) -> SignedIn:
        """Renew the caller's session, given a code that was sent to the account's number.

        Raises:
            InvalidCode: it is wrong, or the account has another number by now.
            TooManyAttempts: after too many wrong codes from the address.
            Unauthorized: the session has ended, or the account was deleted or disabled meanwhile.
            Unavailable: a dependency is down; the code stays valid.
        """

        async def prove() -> SignedIn:
            now, user = self._uow.now(), await self._sessions.lock_user(caller)
            if user.mobile != mobile:
                raise InvalidCode
            return await self._sessions.prove(user, caller.session_id, client, now, "code")

        mobile = caller.user.mobile
        with count_outcome(self._metrics.reauthentications):
            async with (
                self._uow.audit_failures(_PURPOSE, mobile, client),
                self._codes.redeem(mobile, _PURPOSE, code, client.ip),
            ):
                return await self._uow.run(prove)
