"""The connection to MySQL or MariaDB: pool, session settings, time limits, error translation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import peewee
import pymysql
import structlog
from peewee_async import MySQLDatabase
from peewee_async.databases import FetchResults, fetchone
from peewee_async.utils import CursorProtocol

from shared.errors import Unavailable

_CONNECT_SECONDS = 2.0
_QUERY_SECONDS = 2.5
_RECYCLE_SECONDS = 600
_DUPLICATE_KEY = 1062
_LOST_CONNECTION = frozenset({2006, 2013})

log = structlog.get_logger()


class DuplicateKey(Exception):
    """A row with the same unique key exists."""


def connection_parameters(url: str) -> dict[str, Any]:
    """Return the driver's connection arguments for a `mysql://` URL.

    The drivers' own defaults are utf8mb3 and no strict mode, which cut too long values silently.
    """
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "charset": "utf8mb4",
        # One word: aiomysql puts it into SET sql_mode unquoted. It contains strict mode.
        "sql_mode": "TRADITIONAL",
        "init_command": "SET time_zone = '+00:00'",
        "connect_timeout": _CONNECT_SECONDS,
    }


def database_name(url: str) -> str:
    """Return the database that a `mysql://` URL names."""
    return urlsplit(url).path.lstrip("/")


class Database:
    """A pool of connections on which single statements run, each within a time limit.

    peewee builds the SQL, once per statement and not per request; peewee-async runs it.

    Every method that reaches the server raises `shared.errors.Unavailable` where the server is down,
    hangs, or all connections are taken for too long.
    """

    def __init__(self, url: str, pool_size: int) -> None:
        self._db = MySQLDatabase(
            database_name(url),
            **connection_parameters(url),
            pool_params={"minsize": 1, "maxsize": pool_size, "pool_recycle": _RECYCLE_SECONDS},
        )

    def compile(self, query: peewee.Query) -> str:
        """Return the SQL of a query in which every value is a placeholder."""
        sql, _ = self._db.get_sql_context().sql(query).query()
        return str(sql)

    async def fetch_one(self, sql: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        """Run a SELECT and return its first row; tried twice where an idle connection had died."""
        try:
            async with _translated():
                return await self._run(sql, values)
        except _ConnectionLost:
            async with _translated():
                return await self._run(sql, values)

    async def insert(self, query: peewee.Insert) -> int:
        """Run an INSERT and return the new row's id.

        Raises:
            DuplicateKey: a unique key is taken.
        """
        return await self._execute(query, _last_row_id)

    async def update(self, query: peewee.Update) -> int:
        """Run an UPDATE and return the number of changed rows."""
        return await self._execute(query, _row_count)

    async def check(self) -> None:
        """Health check."""
        await self.fetch_one("SELECT 1", ())

    async def close(self) -> None:
        """Close the pool; connections in use are cut."""
        await self._db.aio_close()

    async def _run(self, sql: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = await self._db.aio_execute_sql(sql, values, fetch_results=fetchone)
        return row

    async def _execute(self, query: peewee.Query, result: FetchResults) -> int:
        async with _translated():
            return int(await self._db.aio_execute(query, fetch_results=result))


async def _last_row_id(_database: object, cursor: CursorProtocol) -> int:
    return int(cursor.lastrowid)


async def _row_count(_database: object, cursor: CursorProtocol) -> int:
    return int(cursor.rowcount)


class _ConnectionLost(Unavailable):
    """The connection broke before the statement's answer."""


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Bound the block in time and turn the drivers' errors into ours.

    A statement that is cancelled by the time limit surfaces as pymysql's InterfaceError, because
    aiomysql closes the connection; errors reach us both wrapped by peewee and raw.
    """
    try:
        async with asyncio.timeout(_QUERY_SECONDS):
            yield
    except (peewee.IntegrityError, pymysql.err.IntegrityError) as error:
        if error.args and error.args[0] == _DUPLICATE_KEY:
            raise DuplicateKey from error
        raise
    except (
        peewee.OperationalError,
        peewee.InterfaceError,
        pymysql.err.OperationalError,
        pymysql.err.InterfaceError,
        OSError,
        TimeoutError,
    ) as error:
        code = error.args[0] if error.args else None
        log.warning("database_failed", error=type(error).__name__, code=code)
        failure = _ConnectionLost if code in _LOST_CONNECTION else Unavailable
        raise failure from error
