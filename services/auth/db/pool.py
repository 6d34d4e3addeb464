"""The pool of connections to MySQL or MariaDB, on whichever of its servers takes writes."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiomysql
import pymysql
from peewee_async.pool import AioMysqlPoolBackend
from peewee_async.utils import ConnectionProtocol

_CANNOT_CONNECT = 2003


class NodesPool(AioMysqlPoolBackend):  # type: ignore[misc]
    """Connections to one server at a time; another one is looked for where that fails or is demoted.

    Who has waited longest gets the next connection. aiomysql gives it to whoever asks first after it
    was released, so that under load some wait until their time is up.

    Args:
        database: the database's name.
        nodes: host and port of each server.
        options: further arguments of `aiomysql.create_pool`.
    """

    def __init__(self, *, database: str, nodes: Sequence[tuple[str, int]], **options: Any) -> None:  # noqa: ANN401
        super().__init__(database=database, **options)
        self._nodes = deque(nodes)
        self._turns = asyncio.Semaphore(self.connect_params["maxsize"])

    async def create(self) -> None:
        """Make a pool on the first server that takes writes.

        Raises:
            pymysql.err.OperationalError: none does; the next call begins with another one.
        """
        for _ in range(len(self._nodes)):
            pool = await self._connect(*self._nodes[0])
            if pool is not None:
                self.pool = pool
                return
            self._nodes.rotate(-1)
        raise pymysql.err.OperationalError(_CANNOT_CONNECT, "no server takes writes")

    async def _connect(self, host: str, port: int) -> Any:  # noqa: ANN401 - aiomysql is untyped
        """Return a pool on a server, or None where another one may be better."""
        options = {**self.connect_params, "host": host, "port": port, "db": self.database}
        try:
            pool = await aiomysql.create_pool(**options)
        except (pymysql.err.OperationalError, OSError):
            if len(self._nodes) == 1:
                raise
            return None
        if await _takes_writes(pool):
            return pool
        pool.terminate()
        await pool.wait_closed()
        return None

    async def acquire(self) -> ConnectionProtocol:
        """Return a connection; where the server cannot be reached, the next call looks for another."""
        await self._turns.acquire()
        try:
            return await self._acquire()
        except BaseException:
            self._turns.release()
            raise

    async def _acquire(self) -> ConnectionProtocol:
        pool = self.pool
        try:
            return await super().acquire()
        except (pymysql.err.OperationalError, OSError) as error:
            if pool is self.pool and (isinstance(error, OSError) or error.args[0] == _CANNOT_CONNECT):
                self.leave()
            raise

    async def release(self, conn: ConnectionProtocol) -> None:
        """Give a connection back; one of a server that was left meanwhile is closed."""
        self._turns.release()
        if self.pool is not None and conn in self.pool._used:  # noqa: SLF001 - there is no public question
            await super().release(conn)
        else:
            conn.close()

    def leave(self) -> None:
        """Let go of the current server where there are others; what is under way there may finish."""
        if self.pool is None or len(self._nodes) == 1:
            return
        left, self.pool = self.pool, None
        left.close()
        while left._free:  # noqa: SLF001 - waiting for the pool to close would be for those in use, too
            left._free.popleft().close()  # noqa: SLF001


async def _takes_writes(pool: Any) -> bool:  # noqa: ANN401 - aiomysql is untyped
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT @@GLOBAL.read_only")
        row = await cursor.fetchone()
    return not row[0]
