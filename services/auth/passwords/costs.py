"""The highest cost of a stored hash, which every verification takes the work of."""

import asyncio

import structlog

from services.auth.passwords.hasher import PasswordHasher
from services.auth.passwords.repository import PasswordRepository
from shared.errors import Unavailable

_RETRY_SECONDS = 1.0

log = structlog.get_logger()


async def learn_highest_cost(passwords: PasswordRepository, hasher: PasswordHasher) -> None:
    """Tell the hasher the highest cost of a stored hash, once the database answers.

    Hashes of a higher cost that other processes write later are noticed when they are verified.
    """
    while True:
        try:
            hasher.work_as_for(await passwords.highest_cost())
        except Unavailable as error:
            log.warning("hash_costs_unknown", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
