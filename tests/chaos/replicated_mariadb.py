"""A MariaDB with a semi-synchronous replica."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.cursors import DictCursor

from deploy.local.mariadb import MariaDb, is_mysql
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.servers import start_all, stop_all

_ADMIN, _ADMIN_PASSWORD = "admin", "of a throwaway server"


class Replicated(MariaDb):
    """A server with a binary log; commits wait for the acknowledgement of the replica."""

    def __init__(self, folder: Path, port: int, number: int) -> None:
        super().__init__(folder, port, durable=False)
        self._number = number

    def _command(self) -> list[str]:
        command = [option for option in super()._command() if option != "--skip-log-bin"]
        return [
            *command, "--log-bin", f"--server-id={self._number}", "--binlog-format=ROW",
            "--gtid-strict-mode=ON", "--rpl-semi-sync-master-enabled=ON",
            "--rpl-semi-sync-slave-enabled=ON", "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
            "--rpl-semi-sync-master-timeout=2000",
        ]  # fmt: skip

    def _password(self) -> str:
        return "shared-by-both-servers"

    def _prepare(self) -> None:
        super()._prepare()
        script = self.folder / "init.sql"
        admin = f"{_ADMIN}@'{LOOPBACK}'"
        script.write_text(
            "SET sql_log_bin = 0;\n"
            f"{script.read_text()}"
            f"CREATE OR REPLACE USER {admin} IDENTIFIED BY '{_ADMIN_PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {admin};\n"
        )

    def execute(self, *statements: str) -> None:
        """Execute statements as administrator."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def row(self, query: str) -> dict[str, Any]:
        """Return the first row of a query."""
        with closing(self._connect()) as connection, connection.cursor(DictCursor) as cursor:
            cursor.execute(query)
            return dict(cursor.fetchone() or {})

    @property
    def behind(self) -> bool:
        """Whether the replica has received events that it has not applied."""
        state = self.row("SHOW SLAVE STATUS")
        return bool(state["Read_Master_Log_Pos"] != state["Exec_Master_Log_Pos"])

    def _connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(host=LOOPBACK, port=self.port, user=_ADMIN, password=_ADMIN_PASSWORD)


@dataclass(frozen=True)
class Pair:
    """The initial primary and its replica."""

    first: Replicated
    second: Replicated

    @property
    def url(self) -> str:
        return self.first.url.replace(
            f":{self.first.port}/", f":{self.first.port},{LOOPBACK}:{self.second.port}/"
        )

    def promote_second(self) -> None:
        """Promote the replica, as an operator does when the primary is down."""
        self.second.execute("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")

    @property
    def level(self) -> bool:
        """Whether both servers have the same position."""
        query = "SELECT @@gtid_current_pos AS position"
        return self.first.row(query) == self.second.row(query)

    def demote_first(self) -> None:
        """Stop writes on the primary for a switchover."""
        self.first.execute("SET GLOBAL read_only = 1")


@contextmanager
def replicated_mariadb(folder: Path) -> Iterator[Pair]:
    if is_mysql():
        pytest.skip("the replication is set up as MariaDB's")
    ports = free_ports(["first", "second"])
    pair = Pair(
        Replicated(folder / "first", ports["first"], 1), Replicated(folder / "second", ports["second"], 2)
    )
    try:
        start_all([pair.first, pair.second])
        pair.second.execute(
            "SET GLOBAL read_only = 1",
            f"CHANGE MASTER TO master_host = '{LOOPBACK}', master_port = {pair.first.port}, "
            f"master_user = '{_ADMIN}', master_password = '{_ADMIN_PASSWORD}', master_use_gtid = slave_pos",
            "START SLAVE",
        )
        yield pair
    finally:
        stop_all([pair.first, pair.second])
