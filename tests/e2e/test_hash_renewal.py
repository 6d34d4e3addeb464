"""New hashes for old passwords, on a real MariaDB."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.models import NewUser
from services.auth.passwords.hasher import PasswordHasher
from shared.clock import now
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.system import System

PASSWORD = "correct horse 电池"


@pytest.fixture
async def users(database: Database) -> UserRepository:
    return UserRepository(database)


@pytest.fixture
async def passwords() -> AsyncIterator[PasswordHasher]:
    """Other parameters than those of the running system."""
    passwords = PasswordHasher(rounds=5, workers=2, max_wait=10, metrics=AuthMetrics(new_registry()))
    yield passwords
    passwords.close()


async def hash_of(users: UserRepository, mobile: str) -> str:
    user = await users.find_by_mobile(mobile)
    assert user is not None
    assert user.password_hash is not None
    return user.password_hash


async def test_concurrent_sign_ins_renew_an_old_hash(
    api: Api, system: System, users: UserRepository, passwords: PasswordHasher
) -> None:
    mobile = new_mobile()
    old = await passwords.hash(PASSWORD)
    await users.add(NewUser(mobile, old, None, None, now()))
    replies = await asyncio.gather(
        *(api.post("/login/", {"mobile": mobile, "password": PASSWORD}) for _ in range(8))
    )
    assert [reply.status for reply in replies] == [200] * 8
    renewed = await hash_of(users, mobile)
    assert renewed.startswith(f"$2b${int(system.env['BCRYPT_ROUNDS']):02d}$")
    assert await passwords.verify(PASSWORD, renewed)


async def test_a_hash_with_todays_parameters_stays(api: Api, phone: Phone, users: UserRepository) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    before = await hash_of(users, mobile)
    assert (await api.post("/login/", {"mobile": mobile, "password": PASSWORD})).status == 200
    assert await hash_of(users, mobile) == before


async def test_of_50_concurrent_renewals_one_wins_and_a_changed_password_stays(users: UserRepository) -> None:
    mobile = new_mobile()
    user_id = await users.add(NewUser(mobile, "old", None, None, now()))
    won = await asyncio.gather(*(users.replace_password_hash(user_id, "old", f"new {n}") for n in range(50)))
    assert sum(won) == 1
    assert await hash_of(users, mobile) == f"new {won.index(True)}"
    assert not await users.replace_password_hash(user_id, "old", "older")
