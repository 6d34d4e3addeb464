"""The work of a check after the cost was changed, with the hashes that are stored."""

from collections.abc import AsyncIterator

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.models import NewUser
from services.auth.passwords.costs import learn_highest_cost
from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.repository import PasswordRepository
from shared.clock import now
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.database import HookedDatabase


class RecordingHasher(PasswordHasher):
    """Keeps the costs that it is told."""

    def __init__(self, metrics: AuthMetrics) -> None:
        super().__init__(rounds=4, workers=1, max_wait=5, metrics=metrics)
        self.told: list[int] = []

    def work_as_for(self, cost: int) -> None:
        self.told.append(cost)
        super().work_as_for(cost)


@pytest.fixture
async def stored(database: Database) -> AsyncIterator[None]:
    """Hashes of several costs, one higher than in any other test; removed, because others read them, too."""
    users = UserRepository(database)
    hashes = [*(f"$2b${cost:02d}$" + "a" * 53 for cost in (4, 15, 10)), None, "", "$argon2id$v=19"]
    ids = [await users.add(NewUser(new_mobile(), hashed, None, None, now())) for hashed in hashes]
    yield
    for user_id in ids:
        await users.remove(user_id)


@pytest.mark.usefixtures("stored")
async def test_the_highest_cost_of_all_stored_hashes_is_known_at_the_start(
    database: Database, auth_metrics: AuthMetrics
) -> None:
    hasher = RecordingHasher(auth_metrics)
    await learn_highest_cost(PasswordRepository(database), hasher)
    assert hasher.told == [15]


async def test_the_highest_cost_is_asked_for_until_the_database_answers(
    hooked_database: HookedDatabase, auth_metrics: AuthMetrics
) -> None:
    failures = iter([Unavailable(), None])

    async def fail_once(sql: str) -> None:
        if "SUBSTRING" in sql and (error := next(failures, None)):
            raise error

    hooked_database.before = fail_once
    hasher = RecordingHasher(auth_metrics)
    await learn_highest_cost(PasswordRepository(hooked_database), hasher)
    assert len(hasher.told) == 1
