"""A MariaDB with a table of many accounts."""

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
PASSWORD_HASH = "$2b$12$" + "a" * 53  # as long as a real one
BATCH = 1_000
BATCHES_AT_ONCE = 500
COUNT = "CREATE TABLE IF NOT EXISTS a_thousand (n INT PRIMARY KEY)"
COUNT_ON = "INSERT IGNORE INTO a_thousand (n) VALUES (%s)"
# Adds thousands of accounts, with consecutive numbers.
ADD = """
INSERT INTO users (mobile, password_hash, created_at)
SELECT CONCAT('15', LPAD(%s + thousands.n * 1000 + ones.n, 9, '0')), %s, %s
FROM a_thousand AS thousands STRAIGHT_JOIN a_thousand AS ones WHERE thousands.n < %s
"""


class LargeMariaDb(MariaDb):
    """A private server whose buffer pool holds the whole table."""

    def _command(self) -> list[str]:
        return [*super()._command(), f"--innodb-buffer-pool-size={BUFFER_POOL_MEGABYTES}M"]


@contextmanager
def database(folder: Path, report: Report) -> Iterator[str]:
    """Run a migrated server for the block's time; yield its URL."""
    server = LargeMariaDb(folder / "many-users", free_port(), durable=False)
    server.folder.mkdir(parents=True, exist_ok=True)
    start_all([server], report)
    try:
        migrate(server.url)
        yield server.url
    finally:
        stop_all([server])


def mobile(number: int) -> str:
    """Return the phone number of an account."""
    return f"15{number:09}"


def grow(url: str, have: int, wanted: int) -> None:
    """Add thousands of accounts until there are `wanted`."""
    address = parse_mysql_url(url)
    ((host, port),) = address.nodes
    now = datetime.now(UTC).replace(tzinfo=None)
    with pymysql.connect(
        host=host, port=port, user=address.user, password=address.password, database=address.database,
        autocommit=True,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(COUNT)
        cursor.executemany(COUNT_ON, [(number,) for number in range(BATCH)])
        while have < wanted:
            thousands = min((wanted - have) // BATCH, BATCHES_AT_ONCE)
            cursor.execute(ADD, (have, PASSWORD_HASH, now, thousands))
            have += thousands * BATCH
