"""Addresses of MySQL or MariaDB."""

import pytest

from shared.mysql_url import MysqlAddress, parse


def test_every_part_of_an_address_is_read() -> None:
    url = "mysql://app:p%40ss@db1:3307,db2,[::1]:3308/dialpass"
    nodes = (("db1", 3307), ("db2", 3306), ("::1", 3308))
    assert parse(url) == MysqlAddress(nodes, "app", "p@ss", "dialpass")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@db1",
        "mysql://u:secret@db1/",
        "mysql://u:secret@db1/a/b",
        "mysql://u:secret@/name",
        "mysql://u:secret@db1,/name",
        "mysql://u:secret@db1:port/name",
        "postgres://u:secret@db1/name",
    ],
)
def test_a_malformed_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - several messages, none with a secret
        parse(url)
    assert "secret" not in str(refusal.value)


def test_the_password_is_not_in_the_repr() -> None:
    assert "hidden" not in repr(parse("mysql://u:hidden@db1/name"))
