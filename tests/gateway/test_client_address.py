"""The client's address is taken from trusted proxies only."""

import pytest

from services.gateway.client_address import ClientAddresses, ClientPseudonyms
from tests.support.gateway import StubUpstream, running_gateway
from tests.support.raw_http import raw_client

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "found"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),
        (PROXY, None, PROXY),
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (PROXY, "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (PROXY, "203.0.113.9, garbage", PROXY),
        (PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (PROXY, " 2001:DB8::1 ", "2001:db8::1"),
        ("::1", "6.6.6.6", "::1"),
        (PROXY, "fe80::1%any text", PROXY),
    ],
    ids=[
        "direct", "spoofed", "the-proxy-itself", "one-hop", "spoofed-behind-a-proxy", "two-proxies",
        "garbage", "only-proxies", "ipv6", "untrusted-ipv6", "zone",
    ],
)  # fmt: skip
def test_the_nearest_untrusted_address_is_found(peer: str, forwarded_for: str | None, found: str) -> None:
    assert ClientAddresses(["10.0.0.0/8"]).find(peer, forwarded_for) == found


def test_without_trusted_proxies_the_peer_is_found() -> None:
    assert ClientAddresses([]).find(PROXY, "6.6.6.6") == PROXY


SECRET = "a secret for tests, and for nothing else"


def test_a_pseudonym_is_the_same_for_one_secret_and_shows_the_network() -> None:
    one, other = ClientPseudonyms(SECRET), ClientPseudonyms(SECRET)
    network, address = one.of("203.0.113.9").split(".")
    assert one.of("203.0.113.9") == other.of("203.0.113.9")
    assert (len(network), len(address)) == (8, 8)
    assert one.of("203.0.113.10").startswith(f"{network}.")
    assert one.of("203.0.113.10") != one.of("203.0.113.9")
    assert not one.of("203.0.114.9").startswith(f"{network}.")
    assert one.of("2001:db8::1").split(".")[0] == one.of("2001:db8::ffff").split(".")[0]


def test_another_secret_gives_other_pseudonyms() -> None:
    pseudonyms = {ClientPseudonyms(secret).of("203.0.113.9") for secret in (SECRET, SECRET[::-1], None)}
    assert len(pseudonyms) == 3


@pytest.mark.parametrize("address", ["", "not an address", "0.0.0.0"])
def test_what_is_no_address_has_a_pseudonym_of_the_same_form(address: str) -> None:
    assert len(ClientPseudonyms(SECRET).of(address)) == (17 if address else 0)


@pytest.mark.parametrize(
    ("forwarded_for", "found"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7:51234, 10.0.0.2:80", "203.0.113.7"),
        ("6.6.6.6,203.0.113.7,::ffff:10.0.0.2,[::ffff:10.0.0.3]:443", "203.0.113.7"),
        ("6.6.6.6, unknown", PROXY),
        ("6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, unix:, 10.0.0.2:1", "10.0.0.2"),
        ("6.6.6.6, , 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6,", PROXY),
        (",203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, fe80::1%eth0", PROXY),
        ('6.6.6.6, "203.0.113.7', PROXY),
        ('"6.6.6.6, 10.0.0.2"', PROXY),
        (", " * 40, PROXY),
        ("203.0.113.7, " + "10.0.0.2:80, " * 15 + "10.0.0.3", "10.0.0.2"),
        ("203.0.113.7, " + "10.0.0.2:80, " * 14 + "10.0.0.3", "203.0.113.7"),
    ],
)
def test_an_entry_that_cannot_be_read_ends_the_chain_of_proxies(forwarded_for: str, found: str) -> None:
    assert ClientAddresses(["10.0.0.0/8"]).find(PROXY, forwarded_for) == found


def test_a_proxy_is_trusted_in_each_spelling() -> None:
    for trusted, peer in (("10.0.0.0/8", f"::ffff:{PROXY}"), (f"::ffff:{PROXY}", PROXY)):
        assert ClientAddresses([trusted]).find(peer, "203.0.113.7") == "203.0.113.7"


async def test_lines_of_several_proxies_are_one_list() -> None:
    """HAProxy adds a line of its own; Azure and IIS add ports; all of them behind one another."""
    upstream = StubUpstream()
    lines = (
        "X-Forwarded-For: 6.6.6.6",
        'x-forwarded-for: "[2001:db8::7]:51234", 10.0.0.3:443',
        "X-Forwarded-For: ::ffff:10.0.0.2",
    )
    request = "\r\n".join(["GET /code/a HTTP/1.1", "Host: x", *lines, "", ""]).encode()
    async with (
        running_gateway(trusted_proxies=("127.0.0.1", "10.0.0.0/8")) as gateway,
        upstream.listening(gateway.upstream_port),
        raw_client(gateway.port) as client,
    ):
        client.send(request)
        assert (await client.response()).status == 200
    assert b"\r\nX-Forwarded-For: 2001:db8::7\r\n" in upstream.requests[0]
