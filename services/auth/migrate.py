"""Bringing the database's tables up to date; a command and a job, never part of a service's start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee
from peewee_migrate import Router

from services.auth.database import connection_parameters, database_name

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
    database = peewee.MySQLDatabase(database_name(url), **connection_parameters(url))
    try:
        with database.connection_context(), _one_at_a_time(database):
            return list(Router(database, migrate_dir=_FOLDER, migrate_table="migrations").run())
    except peewee.OperationalError as error:
        raise MigrationFailed(f"the database refused: {error.args[-1]}") from error


@contextmanager
def _one_at_a_time(database: Any) -> Iterator[None]:  # noqa: ANN401 - peewee is untyped
    taken = database.execute_sql("SELECT GET_LOCK(%s, %s)", (_LOCK, _LOCK_SECONDS)).fetchone()
    if taken != (1,):
        raise MigrationFailed("another migration is running")
    try:
        yield
    finally:
        database.execute_sql("SELECT RELEASE_LOCK(%s)", (_LOCK,))
