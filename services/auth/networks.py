"""Client addresses: their canonical spelling, their network, and the addresses that an account trusts."""

import ipaddress
from functools import lru_cache

from services.auth.keyed_hash import KeyedHash

# How long an account trusts an address after a successful sign-in or a right code.
TRUSTED_MS = 90 * 86_400_000
_IPV6_PREFIX = 64
# What providers give to one customer at most.
_IPV6_SITE = 48
_CACHE_SIZE = 4096


@lru_cache(_CACHE_SIZE)
def canonical(address: str) -> str:
    """Return the canonical spelling of an address; an IPv4 address mapped into IPv6 becomes IPv4.

    Text that is not an address is returned unchanged.
    """
    parsed = _parse(address)
    return address if parsed is None else str(parsed)


@lru_cache(_CACHE_SIZE)
def network_of(address: str) -> str:
    """Return the /24 of an IPv4 address or the /64 of an IPv6 one, which a single host may own."""
    parsed = _parse(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):  # the same result as below in a tenth of the time
        return f"{str(parsed).rpartition('.')[0]}.0/24"
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))


def host_of(address: str) -> str:
    """Return an IPv4 address as it is, and the /64 of an IPv6 one: what a single host owns."""
    spelling = canonical(address)
    return network_of(spelling) if ":" in spelling else spelling


def neighbourhood_of(address: str) -> str:
    """Return the /24 of an IPv4 address or the /48 of an IPv6 one, of which one customer has a single one."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
    return network_of(address)


def trusted_address_key(mobile: str, address: str, keyed_hash: KeyedHash) -> str:
    """Return the Redis key that exists while the account of a number trusts an address.

    Strangers cannot lock an owner out of a trusted address.
    """
    return f"sign-in:known:{account_address(mobile, address, keyed_hash)}"


def account_address(mobile: str, address: str, keyed_hash: KeyedHash) -> str:
    """Return the keyed hash of a number together with an address."""
    return keyed_hash.name("pair", f"{mobile} {canonical(address)}")


@lru_cache(_CACHE_SIZE)
def site_of(address: str) -> str | None:
    """Return the /48 of an IPv6 address, of which many providers give a customer all 65536 networks.

    None for an IPv4 address and for text that is not an address.
    """
    parsed = _parse(address)
    if not isinstance(parsed, ipaddress.IPv6Address):
        return None
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))


@lru_cache(_CACHE_SIZE)
def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed
