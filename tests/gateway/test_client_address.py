"""The client's address is taken from trusted proxies only."""

import pytest

from services.gateway.client_address import ClientAddresses

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
    ],
    ids=[
        "direct", "spoofed", "the-proxy-itself", "one-hop", "spoofed-behind-a-proxy", "two-proxies",
        "garbage", "only-proxies", "ipv6", "untrusted-ipv6",
    ],
)  # fmt: skip
def test_the_nearest_untrusted_address_is_found(peer: str, forwarded_for: str | None, found: str) -> None:
    assert ClientAddresses(["10.0.0.0/8"]).find(peer, forwarded_for) == found


def test_without_trusted_proxies_the_peer_is_found() -> None:
    assert ClientAddresses([]).find(PROXY, "6.6.6.6") == PROXY
