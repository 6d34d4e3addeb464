"""What an operator may look at and change in an account, by its number."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.auth.accounts import deletion, disabling
from services.auth.accounts.repository import MysqlUsers
from services.auth.audit.repository import MysqlAudit
from services.auth.db.database import Database
from services.auth.db.transactions import atomically
from services.auth.models import Client, User
from services.auth.outbox.events import MysqlEvents
from services.auth.ports import Journal
from services.auth.pseudonyms import Pseudonyms
from services.auth.sessions.repository import MysqlSessions
from services.auth.settings import MysqlSettings, OperatorSettings
from shared.clock import now
from shared.errors import NotFound
from shared.http import request_ids
from shared.phone import mask_mobile

Facts = dict[str, str]


async def show(settings: MysqlSettings, mobile: str) -> Facts:
    """Return an account's public facts; `NotFound` where the number has no account."""
    async with _connected(settings) as database:
        return _facts(await _find(MysqlUsers(database), mobile))


async def disable(settings: OperatorSettings, mobile: str) -> Facts:
    """Disable an account and return its facts; `NotFound` where the number has no account."""
    async with _desk(settings) as desk:
        user = await _find(desk.users, mobile)
        return _facts(
            await disabling.disable(
                user.id,
                desk.client,
                users=desk.users,
                sessions=desk.sessions,
                journal=desk.journal,
                clock=now,
            )
        )


async def enable(settings: OperatorSettings, mobile: str) -> Facts:
    """Enable an account and return its facts; `NotFound` where the number has no account."""
    async with _desk(settings) as desk:
        user = await _find(desk.users, mobile)
        return _facts(
            await disabling.enable(user.id, desk.client, users=desk.users, journal=desk.journal, clock=now)
        )


async def delete(settings: OperatorSettings, mobile: str) -> Facts:
    """Erase an account and return its id; `NotFound` where the number has no account."""
    async with _desk(settings) as desk:
        found = await _find(desk.users, mobile)

        async def erase() -> None:
            user = await desk.users.lock(found.id)
            if user is None:
                raise NotFound
            await deletion.erase(
                user, desk.client, users=desk.users, sessions=desk.sessions, journal=desk.journal, clock=now
            )

        await atomically(desk.journal.transaction, erase)
        return {"deleted": str(found.id)}


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where an operator's changes are made, and who makes them as far as the audit trail is concerned."""

    users: MysqlUsers
    sessions: MysqlSessions
    journal: Journal
    client: Client


@asynccontextmanager
async def _connected(settings: MysqlSettings) -> AsyncIterator[Database]:
    database = Database(settings.mysql_url.get_secret_value(), pool_size=1)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _desk(settings: OperatorSettings) -> AsyncIterator[_Desk]:
    async with _connected(settings) as database:
        events = MysqlEvents(database)
        audit = MysqlAudit(database, Pseudonyms(settings.code_secret.get_secret_value()))
        yield _Desk(
            MysqlUsers(database),
            MysqlSessions(database, events),
            Journal(database.transaction, events, audit),
            Client("", "an operator's command", request_ids.accept_or_create(None)),
        )


async def _find(users: MysqlUsers, mobile: str) -> User:
    user = await users.find_by_mobile(mobile)
    if user is None:
        raise NotFound
    return user


def _facts(user: User) -> Facts:
    return {
        "id": str(user.id),
        "mobile": mask_mobile(user.mobile),
        "nickname": user.nickname or "-",
        "created": user.created_at.isoformat(timespec="seconds"),
        "disabled": user.disabled_at.isoformat(timespec="seconds") if user.disabled_at else "no",
    }
