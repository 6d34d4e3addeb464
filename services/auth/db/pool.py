"""The pool of connections to the MySQL or MariaDB server that takes writes."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import pymysql
from peewee_async.pool import AioMysqlPoolBackend
from peewee_async.utils import ConnectionProtocol

from services.auth.db.connection import CheckedPool
from services.auth.db.tls import create_pool
from shared.security.tls import TlsFiles

_CANNOT_CONNECT = 2003


class FailoverPool(AioMysqlPoolBackend):  # type: ignore[misc]
    """Connections to one server at a time, and to another one when that fails or is demoted.

    Waiting callers get connections in their order. aiomysql gives a released connection to the next
    caller, so that under load some wait until their time limit.

    Args:
        database: the database's name.
        nodes: host and port of each server.
        tls: the files of TLS, or None for unencrypted connections.
        options: further arguments of `aiomysql.create_pool`.
    """

    def __init__(
        self,
        *,
        database: str,
        nodes: Sequence[tuple[str, int]],
        tls: TlsFiles | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(database=database, **options)
        self._nodes = deque(nodes)
        self._tls = tls
        self._slots = asyncio.Semaphore(self.connect_params["maxsize"])

    async def create(self) -> None:
        """Create a pool on the first server that takes writes.

        Raises:
            pymysql.err.OperationalError: none does; the next call starts with another one.
        """
        for _ in range(len(self._nodes)):
            pool = await self._connect(*self._nodes[0])
            if pool is not None:
                self.pool: CheckedPool | None = pool
                return
            self._nodes.rotate(-1)
        raise pymysql.err.OperationalError(_CANNOT_CONNECT, "no server takes writes")

    async def _connect(self, host: str, port: int) -> CheckedPool | None:
        """Return a pool on a server, or None if it is unusable and there are others."""
        options = {**self.connect_params, "host": host, "port": port, "db": self.database}
        try:
            pool = await create_pool(self._tls, **options)
        except (pymysql.err.OperationalError, OSError):
            if len(self._nodes) == 1:
                raise
            return None
        try:
            if await _takes_writes(pool):
                return pool
        except (pymysql.err.OperationalError, OSError):
            if len(self._nodes) == 1:
                _discard(pool)
                raise
        except BaseException:
            _discard(pool)
            raise
        _discard(pool)
        return None

    async def acquire(self) -> ConnectionProtocol:
        """Return a connection; if the server cannot be reached, the next call tries another one."""
        await self._slots.acquire()
        try:
            try:
                return await self._acquire()
            except (pymysql.err.OperationalError, OSError) as error:
                if _took_time(error):
                    raise
            return await self._acquire()  # a connection that was cut while it was opened
        except BaseException:
            self._slots.release()
            raise

    async def _acquire(self) -> ConnectionProtocol:
        if self.pool is None:
            await self.connect()
        pool = self.pool
        if pool is None or pool._closing:  # noqa: SLF001 - it was left while this caller waited for its turn
            raise pymysql.err.OperationalError(_CANNOT_CONNECT, "the server was left")
        try:
            return await pool.acquire()
        except (pymysql.err.OperationalError, OSError) as error:
            if pool is self.pool and (isinstance(error, OSError) or error.args[0] == _CANNOT_CONNECT):
                self.leave()
            raise

    async def release(self, conn: ConnectionProtocol) -> None:
        """Return a connection to the pool; one to a server that was left meanwhile is closed."""
        self._slots.release()
        if self.pool is not None and conn in self.pool._used:  # noqa: SLF001 - there is no public method
            await super().release(conn)
        else:
            conn.close()

    async def close(self) -> None:
        """Close all connections, also those in use."""
        if self.pool is not None:
            _discard(self.pool)

    def leave(self) -> None:
        """Leave the current server if there are others; statements in progress there may finish."""
        if self.pool is None or len(self._nodes) == 1:
            return
        left, self.pool = self.pool, None
        left.close()
        _close_idle(left)


def _took_time(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)


def _discard(pool: CheckedPool) -> None:
    """Close a pool and all of its connections."""
    pool.terminate()
    _close_idle(pool)


def _close_idle(pool: CheckedPool) -> None:
    while pool._free:  # noqa: SLF001 - wait_closed() would wait for those in use, too
        pool._free.popleft().close()  # noqa: SLF001


async def _takes_writes(pool: CheckedPool) -> bool:
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT @@GLOBAL.read_only")
        row = await cursor.fetchone()
    return not is_read_only(row[0])


def is_read_only(value: object) -> bool:
    """Return whether a value of the variable `read_only` means that: a number, or since MariaDB 12 a word."""
    return value not in {0, "0", "OFF"}
