"""The list of ended sessions, as gateways read it twice a second."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from services.auth.db.database import Database

# How far back a gateway's regular look reaches. Rows do not become visible in the order of their times:
# a transaction may commit seconds after its statement. Seeing a row many times costs nothing, missing
# it would leave a session open, so the window is many times the longest transaction.
RECENT_SECONDS = 30
# However many gateways ask, the database is asked five times a second at most.
_SHARED_SECONDS = 0.2
# A token is accepted for a moment after its end.
_MARGIN_SECONDS = 60

_COLUMNS = "SELECT session_id, CEILING(UNIX_TIMESTAMP(expires_at)) FROM ended_sessions "
_RECENT = _COLUMNS + "WHERE ended_at > NOW(6) - INTERVAL %s SECOND"
_ALL = _COLUMNS + "WHERE expires_at > NOW(6) - INTERVAL %s SECOND"

# The end of the last access token, in seconds since 1970, by session.
Ended = Mapping[str, int]

_Result = TypeVar("_Result")


class EndedSessions:
    """The sessions whose access tokens have to be refused; MySQL alone knows them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.recent = SharedRead(lambda: self._read(_RECENT, RECENT_SECONDS), _SHARED_SECONDS).get
        self.all = SharedRead(lambda: self._read(_ALL, _MARGIN_SECONDS), _SHARED_SECONDS).get

    async def _read(self, sql: str, seconds: int) -> Ended:
        rows = await self._database.fetch_all(sql, (seconds,))
        return {session_id: int(expires_at) for session_id, expires_at in rows}


class SharedRead(Generic[_Result]):
    """A read whose answer, or failure, serves everybody who asks within a moment.

    Args:
        read: the read.
        seconds: how old an answer may be, counted from the beginning of its read.
    """

    def __init__(self, read: Callable[[], Awaitable[_Result]], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._began = float("-inf")
        self._answer: asyncio.Future[_Result] | None = None

    async def get(self) -> _Result:
        """Return an answer that is fresh enough."""
        now = asyncio.get_running_loop().time()
        if self._answer is None or now - self._began > self._seconds:
            self._began = now
            self._answer = asyncio.ensure_future(self._read())
        # Whoever gives up waiting does not take the answer away from the others.
        return await asyncio.shield(self._answer)
