"""Schema migrations: a command and a Kubernetes job, never part of the start of a service."""

import time
from collections.abc import Callable, Iterable, Iterator
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
_REPORT_SECONDS = 30
# For an answer of a server that is only looked at; a migration may take longer.
_PROBE_SECONDS = 5
_FOLDER = Path(__file__).parents[1] / "migrations"


class MigrationFailed(Exception):
    """The database could not be reached or refused the migration."""


Report = Callable[[str], None]


def _silent(_line: str) -> None:
    pass


def migrate(url: str, *, database_wait: float = 0, report: Report = _silent) -> list[str]:
    """Apply all pending migrations and return their names.

    Several jobs may run at once: a named lock of the server lets them take turns. A migration that the
    server refuses is not repeated.

    Args:
        url: the database.
        database_wait: seconds to wait for a server that takes writes and lets the user in; on the first
            start of a cluster, server, database and user come later than this.
        report: gets a line that says what is waited for, when that changes and every half a minute.

    Raises:
        MigrationFailed: no server could be used in time, it refused a migration, or another job held the
            lock for too long.
    """
    if database_wait:
        _wait(database_wait, report, lambda: _why_unusable(url))
    return _on_primary(_servers(url), _run)


def wait_until_migrated(url: str, seconds: float, report: Report = _silent) -> None:
    """Wait until the database has all migrations of this version; apply none.

    Raises:
        MigrationFailed: some were still missing after `seconds`; the message names them.
    """
    _wait(seconds, report, lambda: _why_not_migrated(url))


def _wait(seconds: float, report: Report, problem: Callable[[], str | None]) -> None:
    """Wait until there is no problem any more.

    Raises:
        MigrationFailed: the problem after `seconds`, and how long it was waited for.
    """
    began = time.monotonic()
    reported, at = None, began
    while reason := problem():
        now = time.monotonic()
        if now - began >= seconds:
            raise MigrationFailed(f"{reason} (waited {seconds:g} s)")
        if reason != reported or now - at >= _REPORT_SECONDS:
            report(f"waiting, {seconds - (now - began):.0f} s left: {reason}")
            reported, at = reason, now
        time.sleep(_POLL_SECONDS)


def _why_unusable(url: str) -> str | None:
    try:
        _on_primary(_servers(url, read_timeout=_PROBE_SECONDS), lambda _: [])
    except MigrationFailed as failure:
        return str(failure)
    return None


def _why_not_migrated(url: str) -> str | None:
    servers = _servers(url, read_timeout=_PROBE_SECONDS)
    try:
        pending = _on_primary(servers, lambda database: list(_router(database).diff))
    except MigrationFailed as failure:
        return str(failure)
    return f"not applied: {', '.join(pending)}" if pending else None


def _on_primary(servers: Iterable[Any], work: Callable[[Any], list[str]]) -> list[str]:
    failure: Exception | None = None
    for database in servers:
        try:
            with database.connection_context():
                if _takes_writes(database):
                    return work(database)
        except (peewee.DatabaseError, peewee.InterfaceError) as error:
            failure = error
    reason = failure.args[-1] if failure else "no server takes writes"
    raise MigrationFailed(f"the database refused: {reason}") from failure


def _servers(url: str, read_timeout: float | None = None) -> Iterator[Any]:
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
            read_timeout=read_timeout,
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
