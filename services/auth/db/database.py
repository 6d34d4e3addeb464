"""The connection to MySQL or MariaDB: pool, session settings, transactions, time limits."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import peewee
from peewee_async import MySQLDatabase
from peewee_async.databases import FetchResults, fetchall, fetchone
from peewee_async.transactions import Transaction
from peewee_async.utils import CursorProtocol

from services.auth import deadline
from services.auth.db.errors import (
    DRIVER_ERRORS,
    ConnectionLost,
    ReadOnly,
    StatementNotSent,
    is_lost,
    translate_errors,
)
from services.auth.db.pool import FailoverPool, is_read_only
from services.auth.db.transactions import OpenTransaction, current_transaction, open_transaction
from services.auth.errors import TransactionConflict
from shared.errors import Unavailable
from shared.server_urls import parse_mysql_url

_CONNECT_SECONDS = 2.0
_QUERY_SECONDS = 2.5
_TRANSACTION_SECONDS = 3.5
_ROLLBACK_SECONDS = 1.0
_RECYCLE_SECONDS = 600
# Below the time limit of a statement, so that a wait for a lock ends as that and not as a lost connection.
_LOCK_WAIT_SECONDS = 1

# The server closes a connection that is idle for longer, because its process has vanished.
_NAMED_LOCK_IDLE_SECONDS = 10


_Result = TypeVar("_Result")


def lock_name(lock: str, database: str) -> str:
    """Return the server's name of a database's lock: named locks belong to the server, not to a database.

    The digest is computed here, because MySQL 9.7 has no MD5().
    """
    return f"{lock}.{hashlib.md5(database.encode(), usedforsecurity=False).hexdigest()}"


def session_parameters() -> dict[str, Any]:
    """Return the driver's arguments for every connection.

    The drivers' defaults are utf8mb3 and no strict mode, which truncates long values silently.
    """
    return {
        "charset": "utf8mb4",
        # One word: aiomysql puts it into SET sql_mode unquoted. It contains strict mode.
        "sql_mode": "TRADITIONAL",
        "init_command": f"SET time_zone = '+00:00', innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}",
        "connect_timeout": _CONNECT_SECONDS,
    }


class _Servers(MySQLDatabase):  # type: ignore[misc]
    """peewee-async's database on a pool of several servers."""

    pool_backend_cls = FailoverPool


class Database:
    """A pool of connections that runs statements and transactions, each with a time limit.

    peewee builds the SQL, once per statement and not per request; peewee-async runs it. If the address
    names several servers, the pool connects to one that takes writes, and to another one when that is
    gone or demoted.

    Every method that reaches the server raises `shared.errors.Unavailable` if the server is down, hangs,
    or has no free connection in time.

    Args:
        url: `mysql://user:password@host:port/name`, with several hosts separated by commas, and
            `?tls=verify` for TLS.
        pool_size: maximum number of connections.
        on_failure: called for each failure of the server or of a connection.
    """

    def __init__(self, url: str, pool_size: int, on_failure: Callable[[], None] = lambda: None) -> None:
        self._translate = partial(translate_errors, on_failure=on_failure)
        address = parse_mysql_url(url)
        pool = {"minsize": 1, "maxsize": pool_size, "pool_recycle": _RECYCLE_SECONDS}
        self._db = _Servers(
            address.database,
            nodes=address.nodes,
            user=address.user,
            password=address.password,
            tls=address.tls,
            pool_params=pool,
            **session_parameters(),
        )

    def compile(self, query: peewee.Query) -> str:
        """Return the SQL of a query in which every value is a placeholder."""
        sql, _ = self._db.get_sql_context().sql(query).query()
        return str(sql)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run the block in a transaction: committed as a whole, or rolled back if the block raises.

        The block contains only SQL and starts no tasks: its statements share one connection. Inside an
        open transaction, the block becomes part of it.

        Raises:
            TransactionConflict: a deadlock, or a lock that was waited for too long; a retry makes sense.
            TooLate: the time of the request was over before the commit.
            Unavailable: also if the connection broke during the commit, which may have happened.
        """
        if current_transaction():
            yield
            return
        async with (
            self._leave_read_only_server(),
            self._translate(_TRANSACTION_SECONDS),
            AsyncExitStack() as connection,
        ):
            transaction = await self._begin(connection)
            opened = OpenTransaction(asyncio.current_task())
            mark = open_transaction.set(opened)
            try:
                yield
                deadline.check()
            except Exception:
                await _roll_back(transaction)
                raise
            # If the task is cancelled, the pool closes the connection and the server rolls back: no
            # waiting for a server that may be the reason.
            finally:
                open_transaction.reset(mark)
            await transaction.commit()
        for action in opened.on_commit:
            action()

    async def with_deadlock_retry(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Run `work` in a transaction, and once more if it lost to a concurrent one.

        Raises:
            TransactionConflict: it lost twice; nothing was changed.
        """
        try:
            async with self.transaction():
                return await work()
        except TransactionConflict:
            async with self.transaction():
                return await work()

    def on_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the current transaction is committed, or at once if none is open."""
        if opened := current_transaction():
            opened.on_commit.append(action)
        else:
            action()

    @asynccontextmanager
    async def named_lock(self, lock: str, seconds: float) -> AsyncIterator[bool]:
        """Hold a connection for the block and, if it is free in time, a named lock of the server.

        The lock is lost with the connection; statements in the block then fail.

        Args:
            lock: name of the lock, shared by all processes on the database.
            seconds: how long to wait for it, less than the time limit of a statement.

        Yields:
            whether the lock was acquired.
        """
        async with AsyncExitStack() as stack:
            async with self._translate(_QUERY_SECONDS):
                await stack.enter_async_context(self._db.aio_connection())
            await self.fetch_one(f"SET SESSION wait_timeout = {_NAMED_LOCK_IDLE_SECONDS}", ())
            name = lock_name(lock, self._db.database)
            taken = await self.fetch_one("SELECT GET_LOCK(%s, %s)", (name, seconds)) == (1,)
            try:
                yield taken
            finally:
                if taken:
                    with suppress(Unavailable):
                        await self.fetch_one("SELECT RELEASE_LOCK(%s)", (name,))

    async def fetch_one(self, sql: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        """Run a SELECT and return its first row or None; repeated once if an idle connection had died."""
        row: tuple[Any, ...] | None = await self._read(sql, values, fetchone)
        return row

    async def fetch_all(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Run a SELECT and return its rows; repeated once if an idle connection had died."""
        return list(await self._read(sql, values, fetchall))

    async def select(self, query: peewee.Select) -> list[tuple[Any, ...]]:
        """Run a SELECT that was built for this call and return its rows, as `fetch_all` does."""
        sql, values = self._db.get_sql_context().sql(query).query()
        return await self.fetch_all(sql, values)

    async def insert(self, query: peewee.Insert) -> int:
        """Run an INSERT and return the new row's id.

        Raises:
            DuplicateKey: a unique key is taken.
        """
        return await self._change(query, _last_row_id)

    async def update(self, query: peewee.Update | peewee.Delete) -> int:
        """Run an UPDATE or a DELETE and return the number of changed rows."""
        return await self._change(query, _row_count)

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run a statement that changes rows and return their number."""
        query: Any = peewee.SQL(sql, values)
        return await self.update(query)

    async def check(self) -> None:
        """Health check."""
        await self.fetch_one("SELECT 1", ())

    async def check_writes(self) -> None:
        """Health check: that the server takes writes; a full disk is not seen.

        Raises:
            ReadOnly: it does not.
        """
        row = await self.fetch_one("SELECT @@GLOBAL.read_only", ())
        if row is None or is_read_only(row[0]):
            raise ReadOnly

    async def close(self) -> None:
        """Close the pool; connections in use are cut."""
        await self._db.aio_close()

    async def _begin(self, connection: AsyncExitStack) -> Transaction:
        """Begin a transaction on a connection that is released with the stack; a dead one is replaced."""
        await connection.enter_async_context(self._db.aio_connection())
        try:
            return await self._db.aio_begin()
        except DRIVER_ERRORS as error:
            if not is_lost(error):
                raise
        await connection.aclose()
        await connection.enter_async_context(self._db.aio_connection())
        return await self._db.aio_begin()

    @asynccontextmanager
    async def _leave_read_only_server(self) -> AsyncIterator[None]:
        try:
            yield
        except ReadOnly:
            self._db.pool_backend.leave()
            raise

    async def _read(self, sql: str, values: Sequence[object], result: FetchResults) -> Any:  # noqa: ANN401
        try:
            return await self._run(sql, values, result)
        except ConnectionLost:
            if current_transaction():
                raise
            return await self._run(sql, values, result)

    async def _change(self, query: peewee.Query, result: FetchResults) -> int:
        sql, values = self._db.get_sql_context().sql(query).query()
        try:
            return int(await self._run(sql, values, result))
        except StatementNotSent:
            if current_transaction():
                raise
            return int(await self._run(sql, values, result))

    async def _run(self, sql: str, values: Sequence[object], result: FetchResults) -> Any:  # noqa: ANN401
        current_transaction()
        async with self._leave_read_only_server(), self._translate(_QUERY_SECONDS):
            return await self._db.aio_execute_sql(sql, values, fetch_results=result)


async def _roll_back(transaction: Transaction) -> None:
    # If it fails, the connection is broken and the server rolls back by itself.
    with suppress(*DRIVER_ERRORS):
        async with asyncio.timeout(_ROLLBACK_SECONDS):
            await transaction.rollback()


async def _last_row_id(_database: object, cursor: CursorProtocol) -> int:
    return int(cursor.lastrowid)


async def _row_count(_database: object, cursor: CursorProtocol) -> int:
    return int(cursor.rowcount)
