"""Translation of the database drivers' errors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import peewee
import pymysql
import structlog

from services.auth.db.connection import ENDED
from services.auth.errors import TransactionConflict
from shared.errors import Unavailable
from shared.security.tls import explain

_DUPLICATE_KEY = 1062
_NOT_SENT = 2006
_LOST_CONNECTION = ENDED | {_NOT_SENT, 2013}
_CONFLICT = frozenset({1020, 1205, 1213})  # changed since it was read, lock wait timeout, deadlock
_READ_ONLY = frozenset({1290, 1836})  # the option --read-only, read-only mode

# Errors reach us both wrapped by peewee and raw.
DRIVER_ERRORS = (
    peewee.OperationalError,
    peewee.InterfaceError,
    pymysql.err.OperationalError,
    pymysql.err.InterfaceError,
    OSError,
    TimeoutError,
)

log = structlog.get_logger()


class DuplicateKey(Exception):
    """A row with the same unique key exists."""


class ConnectionLost(Unavailable):
    """The connection broke before the answer to a statement."""


class StatementNotSent(ConnectionLost):
    """The connection was broken before the statement; the server has seen nothing of it."""


class ReadOnly(Unavailable):
    """The server takes no writes, because another one has taken over."""


@asynccontextmanager
async def translate_errors(
    seconds: float, on_failure: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Limit the block to `seconds` and translate the drivers' errors.

    A cancelled statement surfaces as pymysql's InterfaceError, because aiomysql closes the connection;
    unless it was this time limit that cancelled it, the cancellation is raised again.

    Args:
        seconds: the time limit.
        on_failure: called for each failure of the server or the connection; a conflict is none.

    Raises:
        DuplicateKey: a row with the same unique key exists.
        TransactionConflict: a deadlock, or a lock that was waited for too long.
        ReadOnly: the server takes no writes.
        ConnectionLost: the connection broke before the answer; `StatementNotSent` if before the statement.
        Unavailable: any other failure of the server or the connection.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(seconds):
            yield
    except (peewee.IntegrityError, pymysql.err.IntegrityError) as error:
        if error.args and error.args[0] == _DUPLICATE_KEY:
            raise DuplicateKey from error
        raise
    except DRIVER_ERRORS as error:
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError from error
        failure = _failure(error)
        if not isinstance(failure, TransactionConflict):
            on_failure()
        raise failure from error


def _failure(error: Exception) -> Unavailable:
    code = error.args[0] if error.args else None
    reason = explain(error)
    details = {"reason": reason} if reason else {}
    log.warning("database_failed", error=type(error).__name__, error_code=code, **details)
    if code in _CONFLICT:
        return TransactionConflict()
    if code in _READ_ONLY:
        return ReadOnly()
    if code == _NOT_SENT:
        return StatementNotSent()
    return ConnectionLost() if code in _LOST_CONNECTION else Unavailable()


def is_lost(error: Exception) -> bool:
    """Return whether a driver's error says that the connection broke."""
    return bool(error.args) and error.args[0] in _LOST_CONNECTION
