"""The client's address, which only trusted proxies may tell us."""

import ipaddress
from collections.abc import Iterable

_CACHED_PEERS = 4096


class ClientAddresses:
    """Finds the address that a request came from.

    Args:
        trusted: addresses or networks of the proxies in front of the gateway.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._cache: dict[str, bool] = {}

    def find(self, peer: str, forwarded_for: str | None) -> str:
        """Return the nearest address that is no trusted proxy of ours.

        Args:
            peer: the connection's other end.
            forwarded_for: the request's `X-Forwarded-For`; anyone can write anything into it, so it
                is read from the right, and only as far as trusted proxies wrote it.
        """
        if not forwarded_for or not self._is_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(forwarded_for.split(",")):
            address = _normalized(hop)
            if address is None:
                return nearest
            nearest = address
            if not self._is_trusted(address):
                return nearest
        return nearest

    def _is_trusted(self, address: str) -> bool:
        known = self._cache.get(address)
        if known is None:
            known = self._look_up(address)
            if len(self._cache) < _CACHED_PEERS:
                self._cache[address] = known
        return known

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _normalized(hop: str) -> str | None:
    try:
        return str(ipaddress.ip_address(hop.strip()))
    except ValueError:
        return None
