"""The sessions in MySQL."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.auth.db.database import Database
from services.auth.db.tables import EndedSessionRow, SessionRow, from_column, to_column
from services.auth.models import Client, Session
from services.auth.outbox.repository import OutboxRepository
from shared.contracts.events import EndReason, SessionEnded

_COLUMNS = (
    SessionRow.id,
    SessionRow.user_id,
    SessionRow.chain_key,
    SessionRow.refresh_hash,
    SessionRow.generation,
    SessionRow.recent_uses,
    SessionRow.ip,
    SessionRow.user_agent,
    SessionRow.created_at,
    SessionRow.last_used_at,
    SessionRow.expires_at,
    SessionRow.access_expires_at,
)


class SessionRepository:
    """One row per session; of its refresh token only the SHA-256.

    Ending a session removes its row, adds one to the list of ended sessions that gateways read, and
    adds an event, all in one transaction.
    """

    def __init__(self, database: Database, outbox: OutboxRepository) -> None:
        self._database = database
        self._outbox = outbox
        self._locked = database.compile(SessionRow.select(*_COLUMNS).where(SessionRow.id == "").for_update())
        self._of_user = database.compile(
            SessionRow.select(*_COLUMNS)
            .where(SessionRow.user_id == 0, SessionRow.expires_at > 0)
            .order_by(SessionRow.last_used_at.desc(), SessionRow.id)
        )
        to_end = SessionRow.select(SessionRow.id, SessionRow.access_expires_at).where(SessionRow.user_id == 0)
        self._all_to_end = database.compile(to_end.where(SessionRow.id != "").for_update())
        self._one_to_end = database.compile(to_end.where(SessionRow.id == "").for_update())

    async def add(self, session: Session) -> None:
        """Store a session."""
        await self._database.insert(
            SessionRow.insert(
                id=session.id,
                user_id=session.user_id,
                chain_key=session.family_key,
                created_at=to_column(session.created_at),
                **_changing(session),
            )
        )

    async def lock(self, session_id: str) -> Session | None:
        """Return a session or None, locked until the current transaction ends."""
        row = await self._database.fetch_one(self._locked, (session_id,))
        return None if row is None else _session(row)

    async def save(self, session: Session) -> None:
        """Write the columns that a refresh changes."""
        await self._database.update(
            SessionRow.update(**_changing(session)).where(SessionRow.id == session.id)
        )

    async def list_of_user(self, user_id: int, now: datetime) -> list[Session]:
        """Return a user's sessions, most recently used first."""
        return [
            _session(row) for row in await self._database.fetch_all(self._of_user, (user_id, to_column(now)))
        ]

    async def end(self, user_id: int, session_id: str, *, reason: EndReason, now: datetime) -> bool:
        """End a session in the current transaction and return whether the user had one with this id.

        All gateways refuse its access tokens from then on, and an event is published.
        """
        rows = await self._database.fetch_all(self._one_to_end, (user_id, session_id))
        await self._end(user_id, rows, reason, now)
        return bool(rows)

    async def end_all(self, user_id: int, *, keep: str | None, reason: EndReason, now: datetime) -> int:
        """End all sessions of a user except `keep`, as `end` does, and return their number."""
        rows = await self._database.fetch_all(self._all_to_end, (user_id, keep or ""))
        await self._end(user_id, rows, reason, now)
        return len(rows)

    async def _end(
        self, user_id: int, rows: Sequence[tuple[Any, ...]], reason: EndReason, now: datetime
    ) -> None:
        if not rows:
            return
        ended = [
            {"session_id": session_id, "expires_at": access_expires_at}
            for session_id, access_expires_at in rows
        ]
        await self._database.insert(EndedSessionRow.insert_many(ended))
        ids = [session_id for session_id, _ in rows]
        await self._database.update(SessionRow.delete().where(SessionRow.id.in_(ids)))
        for session_id in ids:
            await self._outbox.add(
                SessionEnded(user_id=user_id, occurred_at=now, session_id=session_id, reason=reason)
            )


def _changing(session: Session) -> dict[str, Any]:
    """Return the columns that a refresh changes."""
    return {
        "refresh_hash": session.refresh_hash,
        "generation": session.generation,
        "recent_uses": json.dumps([round(used_at.timestamp(), 3) for used_at in session.recent_uses]),
        "ip": session.client.ip,
        "user_agent": session.client.user_agent,
        "last_used_at": to_column(session.last_used_at),
        "expires_at": to_column(session.expires_at),
        "access_expires_at": to_column(session.access_expires_at),
    }


def _session(row: tuple[Any, ...]) -> Session:
    session_id, user_id, family_key, refresh_hash, generation, uses, ip, user_agent, *times = row
    created_at, last_used_at, expires_at, access_expires_at = map(from_column, times)
    return Session(
        id=session_id,
        user_id=user_id,
        family_key=family_key,
        refresh_hash=refresh_hash,
        generation=generation,
        recent_uses=tuple(datetime.fromtimestamp(used_at, UTC) for used_at in json.loads(uses)),
        client=Client(ip, user_agent),
        created_at=created_at,
        last_used_at=last_used_at,
        expires_at=expires_at,
        access_expires_at=access_expires_at,
    )
