"""Addresses of a Redis behind Sentinels."""

import pytest

from shared.redis.sentinel_url import SentinelAddress, is_sentinel, parse


def test_every_part_of_an_address_is_read() -> None:
    url = "rediss+sentinel://app:p%40ss@s1:26380,s2,[::1]:26381/main/3?sentinel_password=watch"
    assert parse(url) == SentinelAddress(
        sentinels=(("s1", 26380), ("s2", 26379), ("::1", 26381)),
        service="main",
        database=3,
        username="app",
        password="p@ss",
        sentinel_password="watch",
        secure=True,
    )


def test_what_may_be_left_out_has_defaults() -> None:
    address = parse("redis+sentinel://s1/main")
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
def test_a_malformed_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - several messages, none with a secret
        parse(url)
    assert "secret" not in str(refusal.value)


def test_passwords_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(parse("redis+sentinel://u:hidden@s1/main?sentinel_password=hidden"))


def test_other_addresses_are_no_sentinels() -> None:
    assert not is_sentinel("redis://localhost:6379/0")
