"""The client's address: the connection's, or what trusted proxies put into `X-Forwarded-For`."""

import ipaddress
from collections.abc import Iterable

_MAX_CACHED = 4096
# More proxies than anybody has in a row; what a client puts in front of them is not looked at.
_MAX_HOPS = 16
# In characters, of an IPv6 address with a zone (RFC 4007 §11), of which there may be any number.
_MAX_ADDRESS_LENGTH = 64


class ClientAddresses:
    """Finds the address of the client that sent a request.

    Args:
        trusted: addresses or networks of the proxies in front of the gateway.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._cache: dict[str, bool] = {}

    def find(self, peer: str, forwarded_for: str | None) -> str:
        """Return the nearest address that is not a trusted proxy.

        Args:
            peer: the address at the other end of the connection.
            forwarded_for: the request's `X-Forwarded-For`. Clients can send anything in it, so it is
                read from the right, and only as far as trusted proxies wrote it.
        """
        if not forwarded_for or not self._is_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(forwarded_for.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
            address = _normalized(hop)
            if address is None:
                return nearest
            nearest = address
            if not self._is_trusted(address):
                return nearest
        return nearest

    def _is_trusted(self, address: str) -> bool:
        trusted = self._cache.get(address)
        if trusted is None:
            trusted = self._in_trusted_network(address)
            if len(self._cache) < _MAX_CACHED:
                self._cache[address] = trusted
        return trusted

    def _in_trusted_network(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _normalized(hop: str) -> str | None:
    hop = hop.strip()
    if len(hop) > _MAX_ADDRESS_LENGTH:
        return None
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None
