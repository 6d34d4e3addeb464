"""Sessions: authenticating a request, opening, refreshing, listing and ending them."""

from datetime import datetime, timedelta

from services.auth.accounts.repository import UserRepository
from services.auth.change_limits import RefreshLimiter
from services.auth.errors import ReauthenticationRequired, SessionEnded
from services.auth.models import AuditEntry, Caller, Client, Session, SignedIn, User
from services.auth.sessions.refresh_tokens import (
    RefreshToken,
    SessionPolicy,
    exchange,
    holds_genuine,
    new_session,
    parse_refresh_token,
    prove,
)
from services.auth.sessions.repository import SessionRepository
from services.auth.tokens.issuer import AccessTokenIssuer
from services.auth.unit_of_work import UnitOfWork
from shared.contracts.events import EndCause, EndReason, SessionStarted, SignInMethod
from shared.errors import NotFound, Unauthorized
from shared.observability.metrics import AuthMetrics
from shared.observability.outcomes import count_outcome


class SessionService:
    """The sessions of all users.

    Every method raises `Unavailable` if the database is down, and then has changed nothing.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        sessions: SessionRepository,
        users: UserRepository,
        tokens: AccessTokenIssuer,
        policy: SessionPolicy,
        refresh_limiter: RefreshLimiter,
        metrics: AuthMetrics,
    ) -> None:
        self._uow = uow
        self._sessions = sessions
        self._users = users
        self._tokens = tokens
        self._policy = policy
        self._refresh_limiter = refresh_limiter
        self._metrics = metrics

    async def authenticate(self, token: str | None) -> Caller:
        """Return the user and session of an access token.

        Gateways have verified the token; here one read also finds whether its session has ended.

        Raises:
            Unauthorized: no token, a bad one, or its session or account has ended or is disabled.
        """
        if not token:
            raise Unauthorized(token_given=False)
        verified = self._tokens.verify(token)
        user = await self._users.find_by_session(verified.user_id, verified.session_id)
        if user is None or not user.enabled:
            raise Unauthorized(token_given=True)
        return Caller(user, verified.session_id)

    async def lock_user(self, caller: Caller) -> User:
        """Return the caller's account, locked until the current transaction ends.

        Raises:
            Unauthorized: since the caller was authenticated, the session has ended, or the account was
                deleted or disabled.
        """
        user = await self._users.lock(caller.user.id)
        # Read again under the lock, which everything that ends sessions holds, such as a new password.
        ended = user is None or await self._users.find_by_session(user.id, caller.session_id) is None
        if user is None or ended or not user.enabled:
            raise Unauthorized(token_given=True)
        return user

    async def require_recent_proof(self, caller: Caller) -> None:
        """Allow what changes how one gets into the account (RFC 9470).

        Raises:
            ReauthenticationRequired: the session's owner gave a password or a code too long ago.
            Unauthorized: the session has ended meanwhile.
        """
        max_age = self._policy.max_proof_age
        if not max_age:
            return
        proven_at = await self._sessions.proven_at(caller.session_id)
        if proven_at is None:
            raise Unauthorized(token_given=True)
        if self._uow.now() - proven_at > max_age:
            raise ReauthenticationRequired(int(max_age.total_seconds()))

    async def prove(
        self, user: User, session_id: str, client: Client, now: datetime, method: SignInMethod
    ) -> SignedIn:
        """Renew a session whose owner has just given a password or a code, and return its new tokens.

        Part of the current transaction, which holds the lock of the user's row.

        Raises:
            Unauthorized: the session has ended.
        """
        session = await self._sessions.lock(session_id)
        if session is None or session.expires_at <= now:
            raise Unauthorized(token_given=True)
        proven, token = prove(session, client, now, self._policy)
        await self._sessions.save(proven)
        details = {"session_id": session_id, "method": method}
        await self._uow.record(
            AuditEntry("session.reauthenticated", now, client, user.id, user.mobile, details)
        )
        return self._signed_in(user, proven, token, now)

    async def open(self, user: User, client: Client, now: datetime, method: SignInMethod) -> SignedIn:
        """Open a session in the current transaction, which holds the lock of the user's row.

        The lock prevents that a session is opened while the user is disabled or deleted, or while all
        sessions are ended because of a new password; and that there are more than the policy allows.
        """
        await self._end_surplus(user, client, now)
        # A replica's clock may be behind that of the one that ended all earlier sessions.
        now = max(now, user.sessions_valid_from or now)
        session, refresh_token = new_session(user.id, client, now, self._policy)
        await self._sessions.add(session)
        details = {"session_id": session.id, "method": method}
        await self._uow.record(
            AuditEntry("session.started", now, client, user.id, user.mobile, details),
            SessionStarted(user_id=user.id, occurred_at=now, session_id=session.id, method=method),
        )
        return self._signed_in(user, session, refresh_token, now)

    async def refresh(self, token: str, client: Client) -> SignedIn:
        """Exchange a refresh token for the next one and a new access token.

        Concurrent requests with one token wait for the lock of the session's row, and all get the same
        next token. If the process is killed, the token was exchanged or not; a client without an answer
        asks again, however late, and gets what it missed.

        Raises:
            TooManyRequests: the session is refreshed too often.
            SessionEnded: the session has ended or expired, or ends now, because a token that was replaced
                before the reuse interval, and whose successor has been used, was presented: somebody has a
                copy.
            Unauthorized: not a refresh token of any session.
        """
        with count_outcome(self._metrics.refreshes):
            presented = parse_refresh_token(token)
            if presented is None:
                raise Unauthorized(token_given=True)
            self._refresh_limiter.charge(presented.session_id, client.ip)
            answer = await self._uow.run(lambda: self._exchange(presented, client))
            if answer is None:
                raise SessionEnded
            return answer

    async def list_own(self, caller: Caller) -> list[Session]:
        """Return the caller's sessions, most recently used first."""
        return await self._sessions.list_of_user(caller.user.id, self._uow.now())

    async def end(self, caller: Caller, session_id: str, client: Client, reason: EndReason) -> None:
        """End one of the caller's sessions.

        Raises:
            NotFound: the caller has no session with this id.
        """

        async def end() -> None:
            now = self._uow.now()
            await self._users.lock(caller.user.id)  # keeps the user's events in order
            if not await self._end(caller.user, session_id, client, reason, now):
                raise NotFound

        await self._uow.run(end)

    async def end_by_refresh_token(self, token: str, client: Client) -> None:
        """End the session that a refresh token is or was of, if there is one; else do nothing.

        The client wants the session to be over, so that text which is no token, or one of a session that
        has ended, is no error (RFC 7009 §2.2). Every token of the session is a proof, also one that was
        exchanged: presented to `refresh`, it would end the session as well.

        Raises:
            TooManyRequests: too many requests of this session from the client's network.
        """
        presented = parse_refresh_token(token)
        if presented is None:
            return
        self._refresh_limiter.charge(presented.session_id, client.ip)
        session = await self._sessions.find(presented.session_id)
        if session is None or not holds_genuine(session, presented):
            return

        async def end() -> None:
            now, user = self._uow.now(), await self._users.lock(session.user_id)
            if user is None or user.has_ended(session) or session.expires_at <= now:
                return
            await self._end(user, session.id, client, "signed_out", now)

        await self._uow.run(end)

    async def end_others(self, caller: Caller, client: Client) -> None:
        """End all of the caller's sessions except the current one."""

        async def end() -> None:
            now, user = self._uow.now(), caller.user
            await self._users.lock(user.id)
            ended = await self.end_all_but(caller, "ended_by_user", now)
            details = {"sessions": ended, "kept": caller.session_id, "reason": "ended_by_user"}
            await self._uow.record(AuditEntry("session.ended", now, client, user.id, user.mobile, details))

        await self._uow.run(end)

    async def end_all_but(self, caller: Caller, cause: EndCause, now: datetime) -> int:
        """End all of the caller's sessions but the current one; return their number.

        Part of the current transaction, which holds the lock of the user's row and writes the records.
        """
        return await self._sessions.end_all(caller.user.id, keep=caller.session_id, reason=cause, now=now)

    async def _end(
        self, user: User, session_id: str, client: Client, reason: EndReason, now: datetime
    ) -> bool:
        """End a session in the current transaction and return whether the user had one with this id."""
        if not await self._sessions.end(user.id, session_id, reason=reason, now=now):
            return False
        details = {"session_id": session_id, "reason": reason}
        await self._uow.record(AuditEntry("session.ended", now, client, user.id, user.mobile, details))
        return True

    async def _exchange(self, presented: RefreshToken, client: Client) -> SignedIn | None:
        """Return the answer, or None if the session has ended or ends now."""
        now = self._uow.now()
        session = await self._sessions.lock(presented.session_id)
        user = await self._users.find_by_id(session.user_id) if session else None
        if session is None or user is None or not user.enabled or session.expires_at <= now:
            return None
        if user.has_ended(session):
            return None
        exchanged = exchange(session, presented, client, now, self._policy)
        match exchanged.outcome:
            case "unknown":
                raise Unauthorized(token_given=True)
            case "reused":
                await self._end_reused(session, client, now)
                return None
            case "rotated":
                await self._sessions.save(exchanged.session)
        return self._signed_in(user, exchanged.session, exchanged.token, now)

    async def _end_surplus(self, user: User, client: Client, now: datetime) -> None:
        ended = await self._sessions.end_surplus(user.id, self._policy.max_sessions - 1, now)
        if ended:
            details = {"sessions": ended, "reason": "too_many_sessions"}
            await self._uow.record(AuditEntry("session.ended", now, client, user.id, user.mobile, details))

    async def _end_reused(self, session: Session, client: Client, now: datetime) -> None:
        await self._sessions.end(session.user_id, session.id, reason="token_reused", now=now)
        details = {"session_id": session.id}
        await self._uow.record(
            AuditEntry("session.token_reused", now, client, session.user_id, details=details)
        )

    def _signed_in(
        self, user: User, session: Session, refresh_token: RefreshToken, now: datetime
    ) -> SignedIn:
        return SignedIn(
            user=user,
            session_id=session.id,
            token=self._tokens.issue(user, session.id, now, session.access_expires_at, session.proven_at),
            expires_in=_seconds(session.access_expires_at - now),
            refresh_token=str(refresh_token),
            refresh_expires_in=_seconds(session.expires_at - now),
        )


def _seconds(duration: timedelta) -> int:
    return max(0, int(duration.total_seconds()))
