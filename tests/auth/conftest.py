"""What the tests of the auth service share."""

import pytest

from services.auth.accounts.repository import MysqlUsers
from services.auth.db.database import Database
from services.auth.models import NewUser
from services.auth.outbox.events import MysqlEvents
from services.auth.sessions.repository import MysqlSessions
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.client import new_mobile
from tests.support.fakes import NOW


@pytest.fixture
def auth_metrics() -> AuthMetrics:
    return AuthMetrics(new_registry())


@pytest.fixture
def sessions(database: Database) -> MysqlSessions:
    return MysqlSessions(database, MysqlEvents(database))


@pytest.fixture
async def user_id(database: Database) -> int:
    """An account."""
    return await MysqlUsers(database).add(NewUser(new_mobile(), None, None, None, NOW))
