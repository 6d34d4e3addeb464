"""The spelling of addresses, and the networks that they belong to."""

import pytest

from shared.networks import canonical, host_of, network_of, parse_forwarded, parse_networks, site_of


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


# As Azure Application Gateway, IIS, AWS, nginx, Envoy, HAProxy and RFC 7239 write it.
@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" \t203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("203.0.113.7:0", "203.0.113.7"),
        ('"203.0.113.7:51234"', "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        (' "[2001:db8::1]:443" ', "2001:db8::1"),
        ("::1", "::1"),
    ],
)
def test_an_entry_of_x_forwarded_for_is_read_as_proxies_write_it(entry: str, address: str) -> None:
    assert parse_forwarded(entry) == address


@pytest.mark.parametrize(
    "entry",
    [
        "", " ", "unknown", "Unknown", "_hidden", "_SEVKISEK", "unix:", "localhost", "example.com:80", "-",
        "fe80::1%eth0", "[fe80::1%25eth0]:80", "[fe80::1%eth0]", "203.0.113.7:", "203.0.113.7:65536",
        "203.0.113.7:-1", "203.0.113.7:123456", "203.0.113.7:8o", "203.0.113.7:1:2", "[203.0.113.7]",
        "203.0.113.7 203.0.113.8", "203.0.113", "203.0.113.007", "203.0.113.256", "0x7f.1", "[2001:db8::1",
        "2001:db8::1]", "[2001:db8::1]443", "[]", "[]:1", "2001:db8:1:2:3:4:5:6:443", "::ffff:203.0.113.7:80",
        '"203.0.113.7', '203.0.113.7"', '""203.0.113.7""', "'203.0.113.7'",
        "for=203.0.113.7", "203.0.113.7/8",
        "２03.0.113.7", "203.0.113.7\x00", "203.0.113.7\n", " " * 60 + "203.0.113.7",
    ],
)  # fmt: skip
def test_any_other_entry_is_no_address(entry: str) -> None:
    assert parse_forwarded(entry) is None


def test_networks_of_mapped_addresses_are_ipv4() -> None:
    networks = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "::ffff:192.0.2.1", "::/0"]
    assert [str(network) for network in parse_networks(networks)] == [
        "10.0.0.0/8", "192.0.2.0/24", "192.0.2.1/32", "::/0",
    ]  # fmt: skip
