"""Accounts that a test needs without the text message that makes one: a number gets few of those."""

from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.models import NewUser
from services.auth.passwords.hasher import PasswordHasher
from shared.clock import now
from shared.observability.metrics import AuthMetrics, new_registry

PASSWORD = "correct horse 电池"


async def store_account(database: Database, mobile: str, password: str = PASSWORD) -> int:
    """Store an account and return its id."""
    passwords = PasswordHasher(rounds=4, workers=1, max_wait=1, metrics=AuthMetrics(new_registry()))
    hashed = await passwords.hash(password)
    passwords.close()
    return await UserRepository(database).add(NewUser(mobile, hashed, None, None, now()))
