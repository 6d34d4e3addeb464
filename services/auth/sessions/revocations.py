"""The ended sessions whose access tokens gateways refuse; each gateway reads the list twice a second."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from services.auth.db.database import Database
from services.auth.errors import EndedSessionsUnknown
from services.auth.sessions.announcements import EndAnnouncements
from shared.errors import Unavailable

# How far back the regular poll of a gateway reaches. Rows do not become visible in the order of their
# times, since a transaction may commit seconds after its statement. Reading a row many times costs
# nothing, missing it would leave a session open, so the window is many times the longest transaction.
RECENT_SECONDS = 30
# How long the database may take. Gateways wait for a second, and ask every half second: a session that has
# ended is refused within a second also if the database hangs, and Redis too.
_DATABASE_SECONDS = 0.25
# However many gateways poll, the database is read at most five times a second.
_COALESCED_SECONDS = 0.2
# By the clocks of the database and of a gateway, each of which may be behind, and of the replica that wrote
# the time when a token expires, which may be ahead.
_MARGIN_SECONDS = 300

# A mark has the time of a replica's clock, a row that of the server.
_CLOCK_SKEW_SECONDS = 90
# A mark is looked at for a day, within which the rows that it has ended are removed.
_MARK_SECONDS = 86_400

_COLUMNS = "SELECT session_id, CEILING(UNIX_TIMESTAMP(expires_at)) FROM ended_sessions "
# Sessions that a mark on the account has ended, and whose rows are still to be removed.
_MARKED = (
    " UNION SELECT s.id, CEILING(UNIX_TIMESTAMP(s.access_expires_at)) "
    "FROM users u JOIN sessions s ON s.user_id = u.id "
    "WHERE u.sessions_valid_from > NOW(6) - INTERVAL %s SECOND "
    "AND s.created_at < u.sessions_valid_from AND s.id <> COALESCE(u.sessions_kept, '')"
)
_RECENT = _COLUMNS + "WHERE ended_at > NOW(6) - INTERVAL %s SECOND" + _MARKED
_ALL = _COLUMNS + "WHERE expires_at > NOW(6) - INTERVAL %s SECOND" + _MARKED

# When the last access token of each session expires, in seconds since 1970.
Ended = Mapping[str, int]

_Result = TypeVar("_Result")


class Revocations:
    """The ended sessions of which an access token may still be valid, in MySQL.

    Args:
        database: the source of truth.
        announcements: what is known of the last minutes without it; None to wait for the database alone.
    """

    def __init__(self, database: Database, announcements: EndAnnouncements | None = None) -> None:
        self._database = database
        self._announcements = announcements
        recent = (RECENT_SECONDS, RECENT_SECONDS + _CLOCK_SKEW_SECONDS)
        self._recent = CoalescedRead(lambda: self._read(_RECENT, *recent), _COALESCED_SECONDS)
        self._all = CoalescedRead(
            lambda: self._read(_ALL, _MARGIN_SECONDS, _MARK_SECONDS), _COALESCED_SECONDS
        )

    async def recent(self) -> Ended:
        """Return the sessions that ended within the last half minute.

        Raises:
            EndedSessionsUnknown: the database does not answer; has those that are known without it.
        """
        return await self._in_time(self._recent)

    async def all(self) -> Ended:
        """Return all of them, as `recent`."""
        return await self._in_time(self._all)

    async def _in_time(self, read: "CoalescedRead[Ended]") -> Ended:
        if self._announcements is None:
            return await read.get()
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                return await read.get()
        except (TimeoutError, Unavailable) as error:
            raise EndedSessionsUnknown(await self._announcements.recent()) from error

    async def _read(self, sql: str, *seconds: int) -> Ended:
        rows = await self._database.fetch_all(sql, seconds)
        return {session_id: int(expires_at) for session_id, expires_at in rows}


class CoalescedRead(Generic[_Result]):
    """A read whose result, or failure, serves all callers within a moment.

    While a read is in progress, all callers wait for it, also those that come later: where the database is
    slow, more reads would make it slower, and callers that cannot wait that long would never have a result.

    Args:
        read: performs the read.
        seconds: maximum age of a result, from the start of its read.
    """

    def __init__(self, read: Callable[[], Awaitable[_Result]], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._began = float("-inf")
        self._result: asyncio.Future[_Result] | None = None

    async def get(self) -> _Result:
        """Return a result that is recent enough."""
        now = asyncio.get_running_loop().time()
        if self._result is None or (self._result.done() and now - self._began > self._seconds):
            self._began = now
            self._result = asyncio.ensure_future(self._read())
            self._result.add_done_callback(_retrieve)
        # A caller that is cancelled does not cancel the read for the others.
        return await asyncio.shield(self._result)


def _retrieve(read: "asyncio.Future[_Result]") -> None:
    """Look at the failure of a read, even if nobody has waited for it that long."""
    if not read.cancelled():
        read.exception()
