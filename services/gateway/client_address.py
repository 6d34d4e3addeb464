"""The client's address: the connection's, or what trusted proxies put into `X-Forwarded-For`."""

import hmac
import secrets
from collections.abc import Iterable
from functools import lru_cache

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders

from shared.networks import network_of, parse_address, parse_forwarded, parse_networks

_MAX_CACHED = 4096
# More proxies than anybody has in a row; what a client puts in front of them is not looked at.
_MAX_HOPS = 16
_PSEUDONYM_BYTES = 4


class ClientAddresses:
    """Finds the address of the client that sent a request.

    Args:
        trusted: addresses or networks of the proxies in front of the gateway.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = parse_networks(trusted)
        self._cache: dict[str, bool] = {}

    def of(self, connection: HTTP1Connection, headers: HTTPHeaders) -> str:
        """Return the address of the client that sent a request with these headers; see `find`."""
        return self.find(str(getattr(connection.context, "remote_ip", "")), headers.get("X-Forwarded-For"))

    def find(self, peer: str, forwarded_for: str | None) -> str:
        """Return the nearest address that is not a trusted proxy.

        Args:
            peer: the address at the other end of the connection.
            forwarded_for: the request's `X-Forwarded-For`. Clients can send anything in it, so it is
                read from the right, and only as far as trusted proxies wrote it. An entry that cannot
                be read ends it: what is left of it is the client's word.
        """
        if not forwarded_for or not self._is_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(forwarded_for.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
            address = parse_forwarded(hop)
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
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


class ClientPseudonyms:
    """What stands for clients' addresses in log lines: keyed hashes of the network and of the address.

    Lines of one client can be found without its address being in the log. Without the secret, nobody can
    find the address by hashing all of them.

    Args:
        secret: the same for all replicas whose lines are compared; None for a random one.
    """

    def __init__(self, secret: str | None = None) -> None:
        self._secret = (secret or secrets.token_hex()).encode()
        self.of = lru_cache(_MAX_CACHED)(self._of)

    def _of(self, address: str) -> str:
        """Return `network.address`, each 8 hex digits; an empty string for no address."""
        if not address:
            return ""
        return f"{self._hash('network', network_of(address))}.{self._hash('address', address)}"

    def _hash(self, kind: str, value: str) -> str:
        return hmac.digest(self._secret, f"{kind} {value}".encode(), "sha256")[:_PSEUDONYM_BYTES].hex()
