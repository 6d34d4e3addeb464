"""Waiting for the migrations of another: what a new version's pods do before they start."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_ports
from deploy.local.servers import Servers, start_all, stop_all
from services.auth.db.migrate import MigrationFailed, migrate, wait_until_migrated
from tests.support.system import ROOT, run

NAME = "dialpass_waiting"


@pytest.fixture(name="empty_url")
def _empty_url(servers: Servers) -> Iterator[str]:
    """A database of the test's own, without a table."""
    url = urlsplit(servers.mariadb.url)
    server = pymysql.connect(
        host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or ""
    )
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4")
        yield url._replace(path=f"/{NAME}").geturl()
        cursor.execute(f"DROP DATABASE {NAME}")


def test_an_empty_database_is_waited_for_and_left_as_it_is(empty_url: str) -> None:
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="not applied: 001_accounts"):
            wait_until_migrated(empty_url, 0)


def test_waiting_ends_when_another_has_migrated(empty_url: str) -> None:
    job = threading.Timer(1, migrate, [empty_url])
    job.start()
    wait_until_migrated(empty_url, 60)
    job.join()
    assert migrate(empty_url) == []


def test_waiting_for_a_migrated_database_is_over_at_once(mysql_url: str) -> None:
    done = run("services.auth", "migrate", "--wait", "0", env={"MYSQL_URL": mysql_url})
    assert done.stdout == "the database is up to date\n"


def test_a_database_that_does_not_answer_in_time_is_named() -> None:
    with pytest.raises(MigrationFailed, match="the database refused"):
        wait_until_migrated("mysql://nobody:nothing@127.0.0.1:1/nowhere", 0)


def test_the_migration_waits_for_a_database_that_is_still_to_come(servers: Servers) -> None:
    """As on the first start of a cluster: the server answers, and the database is made later."""
    url = urlsplit(servers.mariadb.url)
    late = url._replace(path=f"/{NAME}_late").geturl()
    lines: list[str] = []

    def make() -> None:
        server = pymysql.connect(
            host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or ""
        )
        with server, server.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {NAME}_late CHARACTER SET utf8mb4")

    timer = threading.Timer(2.5, make)
    timer.start()
    try:
        assert migrate(late, database_wait=60, report=lines.append)[0].startswith("001_")
    finally:
        timer.join()
        server = pymysql.connect(
            host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or ""
        )
        with server, server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {NAME}_late")
    # The reason does not change, so that it is said once.
    (line,) = lines
    assert re.fullmatch(r"waiting, 60 s left: the database refused: Unknown database '\w+'", line)


def test_the_migration_waits_for_a_server_that_is_still_to_start(tmp_path: Path) -> None:
    mariadb = MariaDb(tmp_path / "mariadb", free_ports(["mariadb"])["mariadb"], durable=False)
    timer = threading.Timer(1.5, start_all, [(mariadb,)])
    lines: list[str] = []
    timer.start()
    try:
        assert migrate(mariadb.url, database_wait=120, report=lines.append)
    finally:
        timer.join()
        stop_all((mariadb,))
    assert "Can't connect" in lines[0]


def test_the_wait_for_a_database_is_bounded_and_its_end_says_why() -> None:
    with pytest.raises(MigrationFailed, match=r"the database refused: Can't connect.* \(waited 1 s\)"):
        migrate("mysql://nobody:nothing@127.0.0.1:1/nowhere", database_wait=1)


def test_a_server_that_accepts_and_says_nothing_is_waited_for_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(MigrationFailed, match="waited 1 s"):
            migrate(f"mysql://nobody:nothing@127.0.0.1:{port}/nowhere", database_wait=1)


def test_a_migration_that_the_database_refuses_is_not_repeated(empty_url: str) -> None:
    url = urlsplit(empty_url)
    server = pymysql.connect(
        host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or "", db=NAME
    )
    with server, server.cursor() as cursor:
        cursor.execute("CREATE TABLE accounts (id INT)")
        cursor.execute("CREATE TABLE users (id INT)")
    lines: list[str] = []
    with pytest.raises(MigrationFailed, match="already exists"):
        migrate(empty_url, database_wait=60, report=lines.append)
    assert lines == []


def test_the_command_reports_what_it_waits_for_without_the_password() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.auth", "migrate", "--database-wait", "2"],
        cwd=ROOT, env={"MYSQL_URL": "mysql://nobody:hidden-password@127.0.0.1:1/nowhere"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("waiting, 2 s left: the database refused: Can't connect")
    assert "(waited 2 s)" in done.stderr.splitlines()[-1]
    assert "hidden-password" not in done.stdout + done.stderr
