"""Bringing the database's tables up to date; a command and a job, never part of a service's start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee
from peewee_migrate import Router

from services.auth.database import session_parameters
from shared import mysql_url

_LOCK = "dialpass.migrate"
_LOCK_SECONDS = 60
_FOLDER = Path(__file__).parent / "migrations"


class MigrationFailed(Exception):
    """The database could not be reached or did not let the migration happen."""


def migrate(url: str) -> list[str]:
    """Apply every migration that the database does not have yet and return their names.

    Several jobs may run at once: they take turns by a lock of the server.

    Raises:
        MigrationFailed: the server cannot be reached, or another job held the lock for too long.
    """
    failure: peewee.OperationalError | None = None
    for database in _servers(url):
        try:
            with database.connection_context():
                if _takes_writes(database):
                    return _run(database)
        except peewee.OperationalError as error:
            failure = error
    reason = failure.args[-1] if failure else "no server takes writes"
    raise MigrationFailed(f"the database refused: {reason}") from failure


def _servers(url: str) -> Iterator[Any]:
    address = mysql_url.parse(url)
    for host, port in address.nodes:
        yield peewee.MySQLDatabase(
            address.database,
            host=host,
            port=port,
            user=address.user,
            password=address.password,
            **session_parameters(),
        )


def _takes_writes(database: Any) -> bool:  # noqa: ANN401 - peewee is untyped
    return not database.execute_sql("SELECT @@GLOBAL.read_only").fetchone()[0]


def _run(database: Any) -> list[str]:  # noqa: ANN401
    with _one_at_a_time(database):
        return list(Router(database, migrate_dir=_FOLDER, migrate_table="migrations").run())


@contextmanager
def _one_at_a_time(database: Any) -> Iterator[None]:  # noqa: ANN401 - peewee is untyped
    taken = database.execute_sql("SELECT GET_LOCK(%s, %s)", (_LOCK, _LOCK_SECONDS)).fetchone()
    if taken != (1,):
        raise MigrationFailed("another migration is running")
    try:
        yield
    finally:
        database.execute_sql("SELECT RELEASE_LOCK(%s)", (_LOCK,))
