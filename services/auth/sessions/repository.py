"""The sessions in MySQL."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from services.auth.db.database import Database
from services.auth.db.tables import SessionRow, UserRow, from_column, not_ended, to_column
from services.auth.models import Client, Session
from services.auth.outbox.repository import OutboxRepository
from shared.contracts.events import EndCause, session_ended

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
    SessionRow.authenticated_at,
    SessionRow.replaced_hash,
)


# The rows that one transaction removes, in half a second; what a mark has ended beyond that is removed later.
_AT_ONCE = 25_000
# Of many that end at once, the database alone tells of the others.
_ANNOUNCED = 1000
# How long a mark is looked at; rows that it has ended are removed within minutes.
MARK_SECONDS = 86_400
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_ANY_SESSION = "0" * 32

_OF_USER = "user_id = %s AND id <> %s AND created_at < %s"
_EXPIRY = "CEILING(UNIX_TIMESTAMP(access_expires_at))"
_ENDED = "MAX(id), CEILING(UNIX_TIMESTAMP(MAX(access_expires_at)))"
_IN_TURN = f"ORDER BY id LIMIT {_AT_ONCE}"
_SURPLUS = (
    "SELECT id FROM `sessions` WHERE user_id = %s AND expires_at > %s "
    "ORDER BY last_used_at DESC, created_at DESC, id LIMIT 1000 OFFSET %s"
)
_MARKED = (
    "SELECT u.id FROM `users` u JOIN `sessions` s ON s.user_id = u.id "
    "WHERE u.sessions_valid_from > %s AND s.created_at < u.sessions_valid_from "
    "AND s.id <> COALESCE(u.sessions_kept, '') LIMIT 1"
)
_MARK = "SELECT sessions_valid_from, sessions_kept, sessions_end_cause FROM `users` WHERE id = %s FOR UPDATE"


class SessionRepository:
    """One row per session; of its refresh token only the SHA-256.

    Ending sessions removes their rows, adds them to the list of ended sessions that gateways read, and
    adds an event for each, all in one transaction and in one statement each, whatever their number.

    Args:
        database: where they are.
        outbox: takes the events.
        announce: called with the sessions that have ended, and when the last access token of each expires,
            once that is committed; with not more than `_ANNOUNCED` at once.
    """

    def __init__(
        self,
        database: Database,
        outbox: OutboxRepository,
        announce: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._announce = announce
        by_id = SessionRow.select(*_COLUMNS).where(SessionRow.id == "")
        self._by_id = database.compile(by_id)
        self._locked = database.compile(by_id.for_update())
        self._of_user = database.compile(
            SessionRow.select(*_COLUMNS)
            .join(UserRow, on=(UserRow.id == SessionRow.user_id) & not_ended())
            .where(SessionRow.user_id == 0, SessionRow.expires_at > 0)
            .order_by(SessionRow.last_used_at.desc(), SessionRow.id)
        )

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

    async def find(self, session_id: str) -> Session | None:
        """Return a session or None."""
        row = await self._database.fetch_one(self._by_id, (session_id,))
        return None if row is None else _session(row)

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

    async def proven_at(self, session_id: str) -> datetime | None:
        """Return when the owner of a session last gave a password or a code, or None if it has ended."""
        row = await self._database.fetch_one(
            "SELECT COALESCE(authenticated_at, created_at) FROM `sessions` WHERE id = %s", (session_id,)
        )
        return None if row is None else from_column(row[0])

    async def end(self, user_id: int, session_id: str, *, reason: EndCause, now: datetime) -> bool:
        """End a session in the current transaction and return whether the user had one with this id.

        All gateways refuse its access tokens from then on, and an event is published.
        """
        return bool(await self._end(user_id, "user_id = %s AND id = %s", (user_id, session_id), reason, now))

    async def end_all(self, user_id: int, *, keep: str | None, reason: EndCause, now: datetime) -> int:
        """End all sessions of a user except `keep`, as `end` does, and return their number.

        The mark on the account ends them. Their rows are removed here up to a number that a transaction has
        time for, and beyond it by `remove_marked`.
        """
        mark = UserRow.update(
            sessions_valid_from=to_column(now), sessions_kept=keep, sessions_end_cause=reason
        )
        await self._database.update(mark.where(UserRow.id == user_id))
        values = (user_id, keep or "", to_column(_END_OF_TIME))
        return await self._end(user_id, _OF_USER, values, reason, now)

    async def end_surplus(self, user_id: int, limit: int, now: datetime) -> int:
        """End the sessions of a user beyond the `limit` most recently used ones; return their number."""
        rows = await self._database.fetch_all(_SURPLUS, (user_id, to_column(now), limit))
        if not rows:
            return 0
        which = f"user_id = %s AND id IN ({', '.join(['%s'] * len(rows))})"
        values = (user_id, *(session_id for (session_id,) in rows))
        return await self._end(user_id, which, values, "too_many_sessions", now)

    async def remove_marked(self, now: datetime) -> int:
        """Remove rows of one user that a mark has ended; return their number, 0 if there are no more."""
        since = to_column(now - timedelta(seconds=MARK_SECONDS))
        found = await self._database.fetch_one(_MARKED, (since,))
        if found is None:
            return 0
        async with self._database.transaction():
            mark = await self._database.fetch_one(_MARK, found)
            if mark is None:
                return 0
            valid_from, kept, cause = mark
            values = (found[0], kept or "", valid_from)
            return await self._end(found[0], _OF_USER, values, cause or "ended_by_user", now)

    async def _end(
        self, user_id: int, which: str, values: Sequence[object], cause: EndCause, now: datetime
    ) -> int:
        """End the sessions that match a condition and return their number."""
        matching = f"FROM `sessions` WHERE {which}"
        # The first statement locks them.
        found = await self._database.fetch_one(f"SELECT COUNT(*), {_ENDED} {matching} FOR UPDATE", values)
        number = int(found[0]) if found else 0
        if found and number:
            await self._announce_on_commit([found[1:]] if number == 1 else None, matching, values)
            ended = f"SELECT id, access_expires_at {matching} {_IN_TURN}"
            await self._database.execute(
                f"INSERT INTO `ended_sessions` (session_id, expires_at) {ended}", values
            )
            event = session_ended(user_id, now, _ANY_SESSION, cause)
            ids = f"SELECT id {matching} {_IN_TURN}"
            await self._outbox.add_copies(event, _ANY_SESSION, ids, values)
            await self._database.execute(f"DELETE {matching} {_IN_TURN}", values)
        return number

    async def _announce_on_commit(
        self, rows: list[tuple[Any, ...]] | None, matching: str, values: Sequence[object]
    ) -> None:
        if rows is None:
            each = f"SELECT id, {_EXPIRY} {matching} ORDER BY id LIMIT {_ANNOUNCED}"
            rows = await self._database.fetch_all(each, values)
        ended = {session_id: int(expires_at) for session_id, expires_at in rows}
        self._database.on_commit(partial(self._announce, ended))


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
        "authenticated_at": session.authenticated_at and to_column(session.authenticated_at),
        "replaced_hash": session.replaced_hash,
    }


def _session(row: tuple[Any, ...]) -> Session:
    (
        session_id,
        user_id,
        family_key,
        refresh_hash,
        generation,
        uses,
        ip,
        user_agent,
        *times,
        proven,
        replaced,
    ) = row
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
        authenticated_at=proven and from_column(proven),
        replaced_hash=replaced,
    )
