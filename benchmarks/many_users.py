"""A MariaDB with room for its indexes, and a table of as many accounts as are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pymysql

from benchmarks.progress import Report
from deploy.local.fleet import start_all, stop_all
from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_port
from services.auth.migrate import migrate
from shared import mysql_url

BUFFER_POOL_MEGABYTES = 2048
PASSWORD_HASH = "$2b$12$" + "a" * 53  # as long as a real one; nobody signs in
MOST_AT_ONCE = 1_000_000
INSERT = "INSERT INTO users (mobile, password_hash, created_at) VALUES (%s, %s, %s)"
# Each statement copies a range of the accounts to numbers behind all others.
COPY = """
INSERT INTO users (mobile, password_hash, created_at)
SELECT CONCAT('15', LPAD(CAST(SUBSTRING(mobile, 3) AS UNSIGNED) + %s, 9, '0')), password_hash, created_at
FROM users WHERE mobile >= %s AND mobile < %s
"""


class RoomyMariaDb(MariaDb):
    """A private server whose buffer pool holds the table, as a server with so many accounts would."""

    def _command(self) -> list[str]:
        return [*super()._command(), f"--innodb-buffer-pool-size={BUFFER_POOL_MEGABYTES}M"]


@contextmanager
def database(folder: Path, report: Report) -> Iterator[str]:
    """Run the server, its tables made, for the block's time; yield its URL."""
    server = RoomyMariaDb(folder / "many-users", free_port(), durable=False)
    server.folder.mkdir(parents=True, exist_ok=True)
    start_all([server], report)
    try:
        migrate(server.url)
        yield server.url
    finally:
        stop_all([server])


def mobile(number: int) -> str:
    """Return the number of an account."""
    return f"15{number:09}"


def grow(url: str, have: int, wanted: int) -> None:
    """Add accounts until there are as many as wanted."""
    address = mysql_url.parse(url)
    ((host, port),) = address.nodes
    with pymysql.connect(
        host=host, port=port, user=address.user, password=address.password, database=address.database,
        charset="utf8mb4",
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        if not have:
            have = min(wanted, 1_000)
            now = datetime.now(UTC).replace(tzinfo=None)
            cursor.executemany(INSERT, [(mobile(number), PASSWORD_HASH, now) for number in range(have)])
        while have < wanted:
            step = min(have, wanted - have, MOST_AT_ONCE)
            cursor.execute(COPY, (have, mobile(0), mobile(step)))
            connection.commit()
            have += step
        connection.commit()
