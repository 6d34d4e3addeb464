"""What the tests of the auth service share."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.models import NewUser, SignedIn
from services.auth.outbox.repository import OutboxRepository
from services.auth.sessions.repository import SessionRepository
from shared.observability.metrics import AuthMetrics
from tests.support.auth import AuthHarness
from tests.support.client import new_mobile
from tests.support.clock import NOW
from tests.support.database import HookedDatabase

MakeAuth = Callable[..., AuthHarness]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def auth_metrics(registry: CollectorRegistry) -> AuthMetrics:
    return AuthMetrics(registry)


@pytest.fixture
async def hooked_database(mysql_url: str) -> AsyncIterator[HookedDatabase]:
    database = HookedDatabase(mysql_url, pool_size=8)
    yield database
    await database.close()


@pytest.fixture
def make_auth(hooked_database: HookedDatabase, redis: Redis, tmp_path: Path) -> MakeAuth:
    """Make the services; arguments as of `AuthHarness`."""

    def make(**arguments: Any) -> AuthHarness:
        given: dict[str, Any] = {
            "database": hooked_database,
            "redis": redis,
            "keys_dir": tmp_path,
            **arguments,
        }
        return AuthHarness(**given)

    return make


@pytest.fixture
def auth(make_auth: MakeAuth) -> AuthHarness:
    """The services with generous limits."""
    return make_auth()


@pytest.fixture
async def signed_in(auth: AuthHarness) -> SignedIn:
    """A session of the harness's own account."""
    await auth.add_user()
    return await auth.sign_in()


@pytest.fixture
def sessions(database: Database) -> SessionRepository:
    return SessionRepository(database, OutboxRepository(database))


@pytest.fixture
async def user_id(database: Database) -> int:
    """An account."""
    return await UserRepository(database).add(NewUser(new_mobile(), None, None, None, NOW))
