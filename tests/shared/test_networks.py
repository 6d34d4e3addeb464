"""The spelling of addresses, and the networks that they belong to."""

import pytest

from shared.networks import canonical, host_of, network_of, site_of


@pytest.mark.parametrize(
    ("address", "spelling", "network"),
    [
        ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("2001:DB8:1:2:3::4", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("", "", ""),
        ("a socket", "a socket", "a socket"),
    ],
)
def test_an_address_has_one_spelling_and_a_network(address: str, spelling: str, network: str) -> None:
    assert (canonical(address), network_of(address)) == (spelling, network)


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("2001:DB8:1:2:3::4", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", None),
        ("192.0.2.77", None),
        ("a socket", None),
    ],
)
def test_an_address_of_ipv6_belongs_to_a_site(address: str, site: str | None) -> None:
    assert site_of(address) == site


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, *, same: bool) -> None:
    assert (host_of(one) == host_of(other)) is same
