"""Schema migrations: a command and a Kubernetes job, never part of the start of a service."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee
from peewee_migrate import Router

from services.auth.db.database import lock_name, session_parameters
from services.auth.db.tls import EncryptedDatabase
from shared.security.tls import client_context
from shared.server_urls import parse_mysql_url

_LOCK = "dialpass.migrate"
_LOCK_SECONDS = 60
_POLL_SECONDS = 1
_FOLDER = Path(__file__).parents[1] / "migrations"


class MigrationFailed(Exception):
    """The database could not be reached or refused the migration."""


def migrate(url: str) -> list[str]:
    """Apply all pending migrations and return their names.

    Several jobs may run at once: a named lock of the server lets them take turns.

    Raises:
        MigrationFailed: the server cannot be reached, or another job held the lock for too long.
    """
    return _on_primary(url, _run)


def wait_until_migrated(url: str, seconds: float) -> None:
    """Wait until the database has all migrations of this version; apply none.

    Raises:
        MigrationFailed: some were still missing after `seconds`; the message names them.
    """
    deadline = time.monotonic() + seconds
    while problem := _problem(url):
        if time.monotonic() > deadline:
            raise MigrationFailed(problem)
        time.sleep(_POLL_SECONDS)


def _problem(url: str) -> str | None:
    try:
        pending = _on_primary(url, lambda database: list(_router(database).diff))
    except MigrationFailed as failure:
        return str(failure)
    return f"not applied: {', '.join(pending)}" if pending else None


def _on_primary(url: str, work: Callable[[Any], list[str]]) -> list[str]:
    failure: peewee.OperationalError | None = None
    for database in _servers(url):
        try:
            with database.connection_context():
                if _takes_writes(database):
                    return work(database)
        except peewee.OperationalError as error:
            failure = error
    reason = failure.args[-1] if failure else "no server takes writes"
    raise MigrationFailed(f"the database refused: {reason}") from failure


def _servers(url: str) -> Iterator[Any]:
    address = parse_mysql_url(url)
    kind = peewee.MySQLDatabase if address.tls is None else EncryptedDatabase
    tls: dict[str, Any] = {} if address.tls is None else {"ssl": client_context(address.tls)}
    for host, port in address.nodes:
        yield kind(
            address.database,
            host=host,
            port=port,
            user=address.user,
            password=address.password,
            **tls,
            **session_parameters(),
        )


def _takes_writes(database: Any) -> bool:  # noqa: ANN401 - peewee is untyped
    return not database.execute_sql("SELECT @@GLOBAL.read_only").fetchone()[0]


def _run(database: Any) -> list[str]:  # noqa: ANN401
    with _migration_lock(database):
        return list(_router(database).run())


def _router(database: Any) -> Any:  # noqa: ANN401
    return Router(database, migrate_dir=_FOLDER, migrate_table="migrations")


@contextmanager
def _migration_lock(database: Any) -> Iterator[None]:  # noqa: ANN401 - peewee is untyped
    name = lock_name(_LOCK, database.database)
    taken = database.execute_sql("SELECT GET_LOCK(%s, %s)", (name, _LOCK_SECONDS)).fetchone()
    if taken != (1,):
        raise MigrationFailed("another migration is running")
    try:
        yield
    finally:
        database.execute_sql("SELECT RELEASE_LOCK(%s)", (name,))
