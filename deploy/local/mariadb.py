"""A private MariaDB."""

import os
import secrets
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pymysql

from deploy.local.errors import LocalError, tail
from deploy.local.files import read_or_create, write_private
from deploy.local.ports import LOOPBACK
from deploy.local.programs import require
from deploy.local.server import PATIENCE, Server

DATABASE = USER = "dialpass"
SMALL = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--performance-schema=OFF",
    "--skip-log-bin",
)
FORGETFUL = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--sync-frm=0")


class MariaDb(Server):
    """A private MariaDB with the database `dialpass` and a user who may make `dialpass…` ones.

    `durable=False` leaves writing to the disk to the kernel: for data that is thrown away.
    """

    name = "mariadb"

    def __init__(self, folder: Path, port: int, *, durable: bool = True, patience: float = PATIENCE) -> None:
        super().__init__(folder, port, patience=patience)
        self._speed = SMALL if durable else (*SMALL, *FORGETFUL)
        self._data = self.folder / "data"
        # Of its own: a server deletes at its start whatever temporary tables it finds there.
        self._scratch = self.folder / "tmp"

    @property
    def url(self) -> str:
        """The address of the database `dialpass`."""
        return f"mysql://{USER}:{self._password()}@{LOOPBACK}:{self.port}/{DATABASE}"

    def _password(self) -> str:
        return read_or_create(self.folder / "password", lambda: secrets.token_hex(16))

    def _prepare(self) -> None:
        super()._prepare()
        if not self._data.exists():
            self._install()
        self._scratch.mkdir(exist_ok=True)
        # Run at each start, before the first connection is let in.
        write_private(
            self.folder / "init.sql",
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE OR REPLACE USER {USER}@'{LOOPBACK}' IDENTIFIED BY '{self._password()}';\n"
            f"GRANT ALL ON `{DATABASE}%`.* TO {USER}@'{LOOPBACK}';\n",
        )

    def _install(self) -> None:
        # Made elsewhere, since the script cannot cope with a space in the path, and renamed when
        # complete, so that an interrupted installation is not taken for data.
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        program = str(require("mariadb-install-db"))
        options = ("--skip-test-db", "--auth-root-authentication-method=socket", *FORGETFUL)
        with TemporaryDirectory() as scratch:
            made = Path(scratch, "data")
            install = self._spawn("install", [program, *self._basics(made), *options])
            install.wait()
            install.end()
            if install.returncode:
                raise LocalError(f"mariadb-install-db failed:\n{tail(self.log)}")
            shutil.move(made, draft)
        draft.rename(self._data)

    def _command(self) -> list[str]:
        return [
            str(require("mariadbd", "mysqld")),
            *self._basics(self._data),
            *self._speed,
            f"--tmpdir={self._scratch}",
            f"--port={self.port}",
            f"--bind-address={LOOPBACK}",
            "--skip-networking=OFF",
            # No socket file: its path may have 107 bytes only, which a deep checkout exceeds.
            "--socket=",
            f"--pid-file={self.folder / 'mariadbd.pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            "--character-set-server=utf8mb4",
        ]

    @staticmethod
    def _basics(data: Path) -> list[str]:
        basics = ["--no-defaults", f"--datadir={data}", "--skip-name-resolve"]
        return [*basics, "--user=root"] if os.geteuid() == 0 else basics

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
