"""The auth service's services on the real MariaDB and Redis, with a clock that tests move."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth import app
from services.auth.accounts.administration import AccountAdministration
from services.auth.accounts.repository import UserRepository
from services.auth.audit.repository import AuditRecord, AuditRepository
from services.auth.connections import Connections
from services.auth.keyed_hash import KeyedHash
from services.auth.models import Caller, Client, NewUser, SignedIn, User
from services.auth.outbox.repository import OutboxRepository
from services.auth.passwords.hasher import PasswordHasher
from services.auth.routes import Services
from services.auth.sessions.repository import SessionRepository
from services.auth.settings import AuthSettings
from services.auth.tokens.key_ring import KeyPolicy, KeyRing
from services.auth.tokens.signing_keys import create_key
from services.auth.unit_of_work import UnitOfWork
from shared import clock
from shared.contracts.events import DomainEvent, decode_event
from shared.contracts.messages import Purpose
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import UNLIMITED, RecordingPublisher, issue, make_codes
from tests.support.database import HookedDatabase

PASSWORD = "correct horse"
NEW_PASSWORD = "battery staple"
WRONG_CODE = "not a code"
CLIENT = Client("192.0.2.1", "test", "request-1")


def make_hasher(metrics: AuthMetrics, rounds: int = 4) -> PasswordHasher:
    """Return a fast hasher."""
    return PasswordHasher(rounds=rounds, workers=2, max_wait=5, metrics=metrics)


@dataclass
class AuthHarness:
    """All services, and what tests look at from outside.

    Attributes:
        database: where the accounts are.
        redis: where the codes are.
        keys_dir: the folder of signing keys.
        settings: by the names of their variables in lower case.
        make_hasher: makes another hasher than the fast one.
        secret: names the keys in Redis; by default each harness has keys of its own.
    """

    database: HookedDatabase
    redis: Redis
    keys_dir: Path
    settings: dict[str, Any] = field(default_factory=dict)
    make_hasher: Callable[[AuthMetrics], PasswordHasher] = make_hasher
    secret: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        self.now: datetime = clock.now().replace(microsecond=0)
        self.mobile = new_mobile()
        self.registry = CollectorRegistry()
        metrics = AuthMetrics(self.registry)
        self.keyed_hash = KeyedHash(self.secret)
        create_key(self.keys_dir, "ES256", self.now)
        self.publisher = RecordingPublisher(metrics)
        self.hasher = self.make_hasher(metrics)
        keys = KeyRing(self.keys_dir, KeyPolicy("ES256", timedelta(0)), metrics)
        self.outbox = OutboxRepository(self.database)
        self.services: Services = app.build_services(
            self._settings(),
            Connections(self.database, self.redis, self.publisher, self.hasher, keys),
            self.outbox,
            metrics,
            lambda: self.now,
        )
        self.users = UserRepository(self.database)
        self.sessions = SessionRepository(self.database, self.outbox)
        self.audit = AuditRepository(self.database, self.keyed_hash)
        uow = UnitOfWork(self.database, self.outbox, self.audit, lambda: self.now)
        self.administration = AccountAdministration(uow, self.users, self.sessions)
        self.codes = make_codes(self.redis, metrics, keyed_hash=self.keyed_hash, quotas=UNLIMITED)

    def _settings(self) -> AuthSettings:
        return AuthSettings.model_validate(
            {
                "mysql_url": "mysql://unused@unused/unused",
                "redis_url": "redis://unused",
                "amqp_url": "amqp://unused",
                "message_secret": "x" * 32,
                "code_secret": self.secret,
                "signing_keys_dir": self.keys_dir,
                **UNLIMITED,
                **self.settings,
            }
        )

    def wait(self, **duration: float) -> None:
        """Move the clock."""
        self.now += timedelta(**duration)

    async def code(self, purpose: Purpose, mobile: str | None = None) -> str:
        """Issue a code without a message and without a cooldown."""
        mobile, request = mobile or self.mobile, secrets.token_hex(8)
        code = await issue(self.codes, mobile, purpose, request)
        await self.codes.repository.release_cooldown(mobile, request)
        return code

    async def add_user(
        self, mobile: str | None = None, password: str | None = PASSWORD, nickname: str | None = None
    ) -> User:
        """Store an account; without a number it is the harness's own."""
        hashed = await self.hasher.hash(password) if password else None
        mobile = mobile or self.mobile
        return await self.user(await self.users.add(NewUser(mobile, hashed, nickname, None, self.now)))

    async def user(self, user_id: int) -> User:
        """Return a stored account."""
        user = await self.users.find_by_id(user_id)
        assert user is not None
        return user

    async def change(self, user: User, **changes: Any) -> User:
        """Change a stored account behind the services' back."""
        changed = replace(user, **changes)
        await self.users.save(changed)
        return changed

    async def sign_in(self, password: str = PASSWORD, mobile: str | None = None) -> SignedIn:
        return await self.services.sign_in.with_password(mobile or self.mobile, password, CLIENT)

    async def refresh(self, token: str) -> SignedIn:
        """Exchange a refresh token."""
        return await self.services.sessions.refresh(token, CLIENT)

    async def caller(self) -> Caller:
        """Sign in and return the caller."""
        signed_in = await self.sign_in()
        return await self.services.sessions.authenticate(signed_in.token)

    async def session_ids(self, user_id: int) -> set[str]:
        """Return the sessions of a user that have not ended."""
        return {session.id for session in await self.sessions.list_of_user(user_id, self.now)}

    async def events(self, user_id: int) -> list[DomainEvent]:
        """Return the events about a user, oldest first."""
        rows = await self.database.fetch_all(
            "SELECT type, body FROM outbox WHERE user_id = %s ORDER BY id", (user_id,)
        )
        return [decode_event(event_type, body.encode()) for event_type, body in rows]

    async def audited(self, user_id: int | None = None, mobile: str | None = None) -> list[AuditRecord]:
        """Return the audit entries about a user or a number, oldest first."""
        return await self.audit.find(user_id=user_id, mobile=mobile, since=None, limit=1000)

    def hashes(self) -> float:
        """Return the number of bcrypt computations."""
        return self.registry.get_sample_value("dialpass_password_hashes_total", {"outcome": "done"}) or 0

    def codes_checked(self, purpose: Purpose) -> float:
        """Return the number of codes that were right or wrong."""
        samples = (
            self.registry.get_sample_value("dialpass_codes_total", {"purpose": purpose, "outcome": outcome})
            for outcome in ("verified", "wrong")
        )
        return sum(value or 0 for value in samples)
