"""IP addresses: their canonical spelling, and the networks that limits count as one client."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX = 64
# What providers give to one customer at most.
_IPV6_SITE = 48
_CACHE_SIZE = 4096


@lru_cache(_CACHE_SIZE)
def parse_address(address: str) -> IpAddress | None:
    """Return an address, or None for other text; an IPv4 address mapped into IPv6 becomes IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed


def parse_networks(networks: Iterable[str]) -> tuple[IpNetwork, ...]:
    """Return addresses and networks as networks.

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


@lru_cache(_CACHE_SIZE)
def canonical(address: str) -> str:
    """Return the canonical spelling of an address; an IPv4 address mapped into IPv6 becomes IPv4.

    Text that is not an address is returned unchanged.
    """
    parsed = parse_address(address)
    return address if parsed is None else str(parsed)


@lru_cache(_CACHE_SIZE)
def network_of(address: str) -> str:
    """Return the /24 of an IPv4 address or the /64 of an IPv6 one, which a single host may own."""
    parsed = parse_address(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):  # the same result as below in a tenth of the time
        return f"{str(parsed).rpartition('.')[0]}.0/24"
    return _ipv6_network(parsed, _IPV6_PREFIX)


def host_of(address: str) -> str:
    """Return an IPv4 address as it is, and the /64 of an IPv6 one: what a single host owns."""
    spelling = canonical(address)
    return network_of(spelling) if ":" in spelling else spelling


@lru_cache(_CACHE_SIZE)
def site_of(address: str) -> str | None:
    """Return the /48 of an IPv6 address, of which many providers give a customer all 65536 networks.

    None for an IPv4 address and for text that is not an address.
    """
    parsed = parse_address(address)
    return _ipv6_network(parsed, _IPV6_SITE) if isinstance(parsed, ipaddress.IPv6Address) else None


def neighbourhood_of(address: str) -> str:
    """Return the /24 of an IPv4 address or the /48 of an IPv6 one, of which one customer has a single one."""
    return site_of(address) or network_of(address)


def _ipv6_network(address: ipaddress.IPv6Address, prefix: int) -> str:
    # By its number: a zone (RFC 4007) is no part of a network.
    return str(ipaddress.ip_network((int(address), prefix), strict=False))
