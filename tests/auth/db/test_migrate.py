"""Waiting for the migrations of another: what a new version's pods do before they start."""

import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pymysql
import pytest

from deploy.local.servers import Servers
from services.auth.db.migrate import MigrationFailed, migrate, wait_until_migrated
from tests.support.system import run

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
