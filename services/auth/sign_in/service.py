"""Signing in with a password or with a code."""

from dataclasses import replace

from services.auth.accounts.repository import UserRepository
from services.auth.accounts.service import AccountService
from services.auth.codes.service import CodeService
from services.auth.errors import AlreadyRegistered, InvalidCode, WrongCredentials
from services.auth.models import Client, NewUser, SignedIn, User
from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.service import PasswordService
from services.auth.sessions.service import SessionService
from services.auth.sign_in.attempts import PasswordAttempts
from services.auth.unit_of_work import UnitOfWork
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.observability.outcomes import count_outcome

_MAX_CHECKS = 3


class SignInService:
    """Opens sessions for the owners of accounts.

    Args:
        code_creates_accounts: whether signing in with a code creates the account of an unknown number.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        accounts: AccountService,
        passwords: PasswordService,
        sessions: SessionService,
        codes: CodeService,
        hasher: PasswordHasher,
        attempts: PasswordAttempts,
        metrics: AuthMetrics,
        *,
        code_creates_accounts: bool,
    ) -> None:
        self._uow = uow
        self._users = users
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._codes = codes
        self._hasher = hasher
        self._attempts = attempts
        self._metrics = metrics
        self._code_creates_accounts = code_creates_accounts

    async def with_password(self, mobile: str, password: str, client: Client) -> SignedIn:
        """Open a session for the owner of an account.

        An unknown number, a wrong password, a disabled account and an account without a password cost
        one bcrypt computation each and have the same result (OWASP Authentication Cheat Sheet,
        "Authentication and Error Messages"). A throttled attempt costs none.

        Raises:
            WrongCredentials: in any of the four cases.
            TooManyAttempts: after too many attempts, or too many at the same time.
            Unavailable: a dependency is down, or too many checks are queued.
        """
        with count_outcome(self._metrics.sign_ins):
            async with self._attempts.attempt("login", mobile, client):
                for _ in range(_MAX_CHECKS):
                    checked = await self._check(mobile, password)
                    if signed_in := await self._open(checked, client):
                        await self._passwords.renew_hash(checked, password)
                        return signed_in
                raise Unavailable

    async def with_code(self, mobile: str, code: str, client: Client) -> SignedIn:
        """Open a session for the owner of a number, and create the account of an unknown number.

        The account is read before the code is checked, so that a refusal takes the same steps whether or
        not there is one.

        Raises:
            InvalidCode: wrong code, disabled account, or an unknown number where none may be created.
            TooManyAttempts: after too many wrong codes from the address.
            Unavailable: a dependency is down; the code stays valid.
        """
        with count_outcome(self._metrics.sign_ins):
            known = await self._users.find_by_mobile(mobile)
            async with (
                self._uow.audit_failures("login_code", mobile, client),
                self._codes.redeem(mobile, "login", code, client.ip),
            ):
                if known is None and not self._code_creates_accounts:
                    raise InvalidCode
                try:
                    return await self._open_by_code(mobile, known, client)
                except AlreadyRegistered:  # a moment ago, by another request
                    winner = await self._users.find_by_mobile(mobile)
                    return await self._open_by_code(mobile, winner, client)

    async def _check(self, mobile: str, password: str) -> User:
        user = await self._users.find_by_mobile(mobile)
        matches = await self._hasher.verify(password, user.password_hash if user else None)
        if user is None or not matches or not user.enabled:
            raise WrongCredentials
        return user

    async def _open(self, checked: User, client: Client) -> SignedIn | None:
        """Open a session, or return None if the account has changed since its password was checked."""

        async def open_() -> SignedIn | None:
            now = self._uow.now()
            user = await self._users.lock(checked.id)
            proof = (checked.mobile, checked.password_hash)
            if user is None or not user.enabled or (user.mobile, user.password_hash) != proof:
                return None
            return await self._sessions.open(user, client, now, "password")

        return await self._uow.run(open_)

    async def _open_by_code(self, mobile: str, known: User | None, client: Client) -> SignedIn:
        async def open_() -> SignedIn:
            now = self._uow.now()
            if known is None:
                new = NewUser(mobile, None, None, None, now)
                user_id = await self._accounts.create(new, client, "code")
            else:
                user_id = known.id
            user = await self._users.lock(user_id)
            if user is None or user.mobile != mobile or not user.enabled:
                raise InvalidCode
            signed_in = await self._sessions.open(user, client, now, "code")
            return replace(signed_in, created=known is None)

        return await self._uow.run(open_)
