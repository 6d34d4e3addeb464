"""A MariaDB with room for its indexes, and a table of as many accounts as are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pymysql

from benchmarks.progress import Report
from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_port
from deploy.local.servers import start_all, stop_all
from services.auth.db.migrate import migrate
from shared.server_urls import parse_mysql_url

BUFFER_POOL_MEGABYTES = 2048
PASSWORD_HASH = "$2b$12$" + "a" * 53  # as long as a real one; nobody signs in
A_THOUSAND = 1_000
THOUSANDS_AT_ONCE = 500
COUNT = "CREATE TABLE IF NOT EXISTS a_thousand (n INT PRIMARY KEY)"
COUNT_ON = "INSERT IGNORE INTO a_thousand (n) VALUES (%s)"
# Adds as many thousands of accounts as are asked for, the first of them with a given number.
ADD = """
INSERT INTO users (mobile, password_hash, created_at)
SELECT CONCAT('15', LPAD(%s + thousands.n * 1000 + ones.n, 9, '0')), %s, %s
FROM a_thousand AS thousands STRAIGHT_JOIN a_thousand AS ones WHERE thousands.n < %s
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
    """Add accounts, in thousands, until there are as many as wanted."""
    address = parse_mysql_url(url)
    ((host, port),) = address.nodes
    now = datetime.now(UTC).replace(tzinfo=None)
    with pymysql.connect(
        host=host, port=port, user=address.user, password=address.password, database=address.database,
        autocommit=True,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(COUNT)
        cursor.executemany(COUNT_ON, [(number,) for number in range(A_THOUSAND)])
        while have < wanted:
            thousands = min((wanted - have) // A_THOUSAND, THOUSANDS_AT_ONCE)
            cursor.execute(ADD, (have, PASSWORD_HASH, now, thousands))
            have += thousands * A_THOUSAND
