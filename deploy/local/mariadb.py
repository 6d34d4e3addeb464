"""A private MariaDB."""

import os
import secrets
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pymysql

from deploy.local.errors import LocalError, tail
from deploy.local.files import read_or_create, write_private
from deploy.local.ports import LOOPBACK
from deploy.local.programs import require
from deploy.local.server import START_TIMEOUT, Server, ServerTls

DATABASE = USER = "dialpass"
SMALL_FOOTPRINT = ("--innodb-buffer-pool-size=64M", "--performance-schema=OFF", "--skip-log-bin")
NOT_DURABLE = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")
OF_MARIADB = ("--innodb-log-file-size=16M",)
# Without a second protocol, whose socket would be a common one, and without a folder for files of statements.
OF_MYSQL = ("--innodb-redo-log-capacity=32M", "--mysqlx=OFF", "--secure-file-priv=NULL")


class MariaDb(Server):
    """A private MariaDB or MySQL, with the database `dialpass` and a user that can create `dialpass…`.

    Args:
        folder: its data.
        port: its port.
        durable: whether to flush to disk; False for data that is thrown away.
        tls: the files of its certificate, or None if it offers no TLS.
        timeout: seconds until it has to answer.
    """

    name = "mariadb"

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        durable: bool = True,
        tls: ServerTls | None = None,
        timeout: float = START_TIMEOUT,
    ) -> None:
        super().__init__(folder, port, timeout=timeout)
        self._tls = tls
        self._tuning = SMALL_FOOTPRINT if durable else (*SMALL_FOOTPRINT, *NOT_DURABLE)
        self._data = self.folder / "data"

    @property
    def url(self) -> str:
        """The URL of the database `dialpass`."""
        return f"mysql://{USER}:{self._password()}@{LOOPBACK}:{self.port}/{DATABASE}"

    def _password(self) -> str:
        return read_or_create(self.folder / "password", lambda: secrets.token_hex(16))

    def _prepare(self) -> None:
        super()._prepare()
        if not self._data.exists():
            self._install()
        user, password = f"{USER}@'{LOOPBACK}'", self._password()
        # Executed at each start, before connections are accepted.
        write_private(
            self.folder / "init.sql",
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}';\n"
            f"ALTER USER {user} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON `{DATABASE}%`.* TO {user};\n",
        )

    def _install(self) -> None:
        # Renamed when complete, so that an interrupted installation is not used.
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = self._installation(unfinished)
        install = self._spawn("install", command)
        install.wait()
        install.end()
        if install.returncode:
            raise LocalError(f"{Path(command[0]).name} failed:\n{tail(self.log)}")
        unfinished.rename(self._data)

    def _installation(self, data: Path) -> list[str]:
        server = _server()
        if is_mysql():
            return [str(server), *self._base_options(data), "--initialize-insecure", *OF_MYSQL]
        options = ("--skip-test-db", "--auth-root-authentication-method=socket", "--sync-frm=0", *NOT_DURABLE)
        # A path that begins with the working directory's dot, and the folder of temporary tables by the
        # environment: the script passes options on without quotes, so they must not have blanks.
        return [str(require("mariadb-install-db")), *self._base_options(f"./{data.name}"), *options]

    def _command(self) -> list[str]:
        server = _server()
        own = OF_MYSQL if is_mysql() else OF_MARIADB
        return [
            str(server),
            *self._base_options(self._data),
            *self._tuning,
            *own,
            *self._tls_options(),
            # Not shared: a server deletes the temporary tables that it finds there when it starts.
            f"--tmpdir={self.environment()['TMPDIR']}",
            f"--port={self.port}",
            f"--bind-address={LOOPBACK}",
            "--skip-networking=OFF",
            # No socket file: its path is limited to 107 bytes.
            "--socket=",
            f"--pid-file={self.folder / 'mariadbd.pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            "--character-set-server=utf8mb4",
        ]

    def _tls_options(self) -> list[str]:
        if self._tls is None:
            return []
        files = self._tls
        return [f"--ssl-ca={files.ca}", f"--ssl-cert={files.certificate}", f"--ssl-key={files.key}"]

    @staticmethod
    def _base_options(data: Path | str) -> list[str]:
        options = ["--no-defaults", f"--datadir={data}", "--skip-name-resolve"]
        return [*options, "--user=root"] if os.geteuid() == 0 else options

    def _probe(self) -> None:
        pymysql.connect(
            host=LOOPBACK,
            port=self.port,
            user=USER,
            password=self._password(),
            database=DATABASE,
            connect_timeout=2,
            read_timeout=2,
        ).close()


def is_mysql() -> bool:
    """Return whether the installed server is MySQL and not MariaDB."""
    return _is_mysql(_server())


def _server() -> Path:
    return require("mariadbd", "mysqld")


@cache
def _is_mysql(server: Path) -> bool:
    shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    return "MariaDB" not in shown.stdout
