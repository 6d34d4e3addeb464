"""What the use cases need of the outside, each port with the errors that it raises.

Every method that reaches a server raises `shared.errors.Unavailable` where that server is down or
does not answer in time, and then has changed nothing that matters.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.auth.models import AuditEntry, NewUser, Session, User
from shared.contracts.events import DomainEvent, EndReason
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Purpose, SendCode
from shared.security.access_tokens import AccessToken

# Commits what its block writes as one, or nothing where the block raises; see `atomically`.
Transaction = Callable[[], AbstractAsyncContextManager[None]]


class Events(Protocol):
    """What other systems are told."""

    async def record(self, event: DomainEvent) -> None:
        """Publish an event if the current transaction commits, and only then."""


class Audit(Protocol):
    """What auditors are told."""

    async def record(self, entry: AuditEntry) -> None:
        """Write an entry in the current transaction."""

    async def forget(self, user_id: int, mobile: str) -> None:
        """Leave of a number nothing but its pseudonym, in the current transaction."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What makes a change and its records one: nothing changes unrecorded, nothing else is recorded.

    `async with journal.transaction():` change, then `journal.events.record(…)` and
    `journal.audit.record(…)`.
    """

    transaction: Transaction
    events: Events
    audit: Audit


class Users(Protocol):
    """The accounts."""

    async def add(self, user: NewUser) -> int:
        """Store an account and return its id.

        Raises:
            AlreadyRegistered: the number has an account.
        """

    async def find_by_mobile(self, mobile: str) -> User | None:
        """Return the account of a number."""

    async def find_by_id(self, user_id: int) -> User | None:
        """Return the account with an id."""

    async def find_by_session(self, user_id: int, session_id: str) -> User | None:
        """Return the account with an id, if this session of it has not been ended."""

    async def replace_password_hash(self, user_id: int, old: str, new: str) -> bool:
        """Write the new hash of an unchanged password; False where the password was changed meanwhile."""

    async def lock(self, user_id: int) -> User | None:
        """Return the account with an id, which nobody else changes until the transaction is over."""

    async def save(self, user: User) -> None:
        """Write what a change of a locked account has changed.

        Raises:
            AlreadyRegistered: another account has the number.
        """

    async def remove(self, user_id: int) -> None:
        """Remove a locked account; its number is free."""


class Sessions(Protocol):
    """The sessions that have not ended."""

    async def add(self, session: Session) -> None:
        """Store a session."""

    async def lock(self, session_id: str) -> Session | None:
        """Return a session that nobody else changes until the current transaction is over."""

    async def save(self, session: Session) -> None:
        """Write what a use has changed."""

    async def of_user(self, user_id: int, now: datetime) -> list[Session]:
        """Return a user's sessions, the one used last first."""

    async def end(self, user_id: int, session_id: str, *, reason: EndReason, now: datetime) -> bool:
        """End a session in the current transaction; False where the user has none with this id.

        Every gateway refuses its access tokens from then on, and an event tells of it.
        """

    async def end_all(self, user_id: int, *, keep: str | None, reason: EndReason, now: datetime) -> int:
        """End a user's sessions but `keep`, as `end` does, and return how many there were."""


class Codes(Protocol):
    """The codes that are valid now."""

    async def issue(
        self, mobile: str, purpose: Purpose, request: str, *, address: str, solved: str | None
    ) -> str:
        """Charge the budgets, take the number's cooldown and return its code: the living one or a new one.

        Args:
            mobile: canonical number.
            purpose: what the code is good for.
            request: names the request, so that its cooldown can be given back.
            address: where the request comes from.
            solved: the challenge that came solved with it.

        Raises:
            TooManyCodes: inside the cooldown, or a budget is used up.
            Suspicious: the risk rules want a challenge solved, and none was or it has served already.
        """

    async def release_cooldown(self, mobile: str, request: str) -> None:
        """Give back the cooldown that `request` took, for a message that was not sent.

        Never raises: it runs where something has failed already.
        """

    def consuming(
        self, mobile: str, purpose: Purpose, code: str, address: str
    ) -> AbstractAsyncContextManager[None]:
        """Verify and consume a code atomically for the length of a block.

        The code has served where the block succeeds or answers `InvalidCode` or `AlreadyRegistered`;
        where it fails for any other reason, the code works again.

        Raises:
            InvalidCode: on entering, and one of its tries is counted.
            TooManyAttempts: on entering, after too many wrong codes from the address.
        """


class Challenges(Protocol):
    """Proof-of-work challenges."""

    def make(self, mobile: str) -> Mapping[str, object]:
        """Return a new challenge that is good for asking for a code to a number."""

    async def solved(self, payload: str | None, mobile: str) -> str | None:
        """Return the name of the challenge that a payload solves, None where it solves none in time."""


class Passwords(Protocol):
    """Slow hashing, off the event loop."""

    async def hash(self, password: str) -> str:
        """Return a hash to store.

        Raises:
            Overloaded: too many computations are queued.
        """

    def outdated(self, hashed: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password belongs to the hash; takes as long where there is none.

        Raises:
            Overloaded: too many computations are queued.
        """


class SignInGuard(Protocol):
    """The throttle around checking passwords; open where it cannot be asked."""

    def attempt(self, mobile: str, address: str) -> AbstractAsyncContextManager[None]:
        """Let a block check a password, and note what comes of it.

        The block's answer is `InvalidRequest` for a wrong password; with any other failure, nothing
        is known. Numbers without an account are throttled as those with one are.

        Raises:
            TooManyAttempts: on entering; the block does not run.
        """


class Tokens(Protocol):
    """Access tokens."""

    def issue(self, user: User, session_id: str, now: datetime, expires_at: datetime) -> str:
        """Return a signed access token."""

    def verify(self, token: str) -> AccessToken:
        """Return what a valid token says.

        Raises:
            Unauthorized: the token is malformed, forged, expired or of another audience.
        """


class SmsQueue(Protocol):
    """The way to the SMS worker."""

    async def publish(self, message: SendCode) -> None:
        """Hand a message over; returns once the broker has stored it.

        Raises:
            SmsUnavailable: it was not stored, or nobody knows whether it was.
        """


class Statuses(Protocol):
    """Where each message stands."""

    async def put(self, message_id: str, status: MessageStatus) -> None:
        """Write a message's first state."""

    async def abandon(self, message_id: str, at: datetime) -> None:
        """Fail a message that the broker did not confirm, unless the worker has begun with it."""

    async def get(self, message_id: str) -> MessageStatus | None:
        """Return a message's state, or None for an unknown one."""
