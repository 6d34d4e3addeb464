import pytest

from shared.server_urls import (
    MysqlAddress,
    SentinelAddress,
    is_sentinel_url,
    parse_mysql_url,
    parse_sentinel_url,
)


def test_every_part_of_a_mysql_url_is_parsed() -> None:
    url = "mysql://app:p%40ss@db1:3307,db2,[::1]:3308/dialpass"
    nodes = (("db1", 3307), ("db2", 3306), ("::1", 3308))
    assert parse_mysql_url(url) == MysqlAddress(nodes, "app", "p@ss", "dialpass")


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
def test_a_malformed_mysql_url_is_rejected_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - several messages, none with a secret
        parse_mysql_url(url)
    assert "secret" not in str(raised.value)


def test_the_mysql_password_is_not_in_the_repr() -> None:
    assert "hidden" not in repr(parse_mysql_url("mysql://u:hidden@db1/name"))


def test_every_part_of_a_sentinel_url_is_parsed() -> None:
    url = "rediss+sentinel://app:p%40ss@s1:26380,s2,[::1]:26381/main/3?sentinel_password=watch"
    assert parse_sentinel_url(url) == SentinelAddress(
        sentinels=(("s1", 26380), ("s2", 26379), ("::1", 26381)),
        service="main",
        database=3,
        username="app",
        password="p@ss",
        sentinel_password="watch",
        secure=True,
    )


def test_optional_parts_of_a_sentinel_url_have_defaults() -> None:
    address = parse_sentinel_url("redis+sentinel://s1/main")
    assert (address.database, address.username, address.password, address.secure) == (0, None, None, False)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://s1:26379",
        "redis+sentinel://s1:26379/",
        "redis+sentinel://s1:26379/main/x",
        "redis+sentinel:///main",
        "redis+sentinel://s1:port/main",
        "redis+sentinel://u:secret@s1,/main",
        "redis://localhost:6379/0",
    ],
)
def test_a_malformed_sentinel_url_is_rejected_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - several messages, none with a secret
        parse_sentinel_url(url)
    assert "secret" not in str(raised.value)


def test_the_redis_passwords_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(
        parse_sentinel_url("redis+sentinel://u:hidden@s1/main?sentinel_password=hidden")
    )


def test_a_redis_url_is_not_a_sentinel_url() -> None:
    assert not is_sentinel_url("redis://localhost:6379/0")


@pytest.mark.parametrize(
    ("query", "checked"),
    [
        ("", True),
        ("?ssl_check_hostname=true", True),
        ("?ssl_check_hostname=false&ssl_ca_certs=ca.crt", False),
    ],
)
def test_host_names_are_checked_unless_an_authority_of_ones_own_is_enough(
    query: str, *, checked: bool
) -> None:
    assert parse_sentinel_url(f"rediss+sentinel://s1/main{query}").check_hostname is checked


@pytest.mark.parametrize("query", ["ssl_check_hostname=no&ssl_ca_certs=ca.crt", "ssl_check_hostname=false"])
def test_not_checking_host_names_is_spelt_out_and_needs_an_authority(query: str) -> None:
    with pytest.raises(ValueError, match="ssl_check_hostname"):
        parse_sentinel_url(f"rediss+sentinel://s1/main?{query}")
