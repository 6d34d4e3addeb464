"""Whose word is taken about the client of a request: the gateway's, and nobody else's."""

import hmac
from collections.abc import Callable, Mapping, Sequence

from shared.http import gateway_secret
from shared.networks import parse_address, parse_forwarded, parse_networks

_MAX_CACHED = 4096
_LOOPBACK = ("127.0.0.0/8", "::1/128")


class GatewayTrust:
    """Recognises requests of the gateway by a secret in a header, or by the network that they come from.

    Args:
        secrets: the secrets that the gateway may send.
        networks: addresses and networks whose word is taken without a secret. Without secrets and
            networks it is this machine, where the services of a one-machine run are.
        on_refusal: called for each request that names a client, but is not the gateway's.
    """

    def __init__(
        self,
        secrets: Sequence[str] = (),
        networks: Sequence[str] = (),
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        trusted = networks or (() if secrets else _LOOPBACK)
        self._networks = parse_networks(trusted)
        self._on_refusal = on_refusal
        self._peers: dict[str, bool] = {}

    def trusts(self, headers: Mapping[str, str], peer: str) -> bool:
        """Return whether a request is the gateway's, by its headers and the address of the connection."""
        given = headers.get(gateway_secret.HEADER, "").encode("utf-8", "surrogatepass")
        # All are compared, so that the time does not tell which one is right.
        matches = [hmac.compare_digest(given, secret) for secret in self._secrets]
        if any(matches) or self._is_trusted_peer(peer):
            return True
        if "X-Forwarded-For" in headers:
            self._on_refusal()
        return False

    def _is_trusted_peer(self, peer: str) -> bool:
        if not self._networks:
            return False
        trusted = self._peers.get(peer)
        if trusted is None:
            address = parse_address(peer)
            trusted = address is not None and any(address in network for network in self._networks)
            if len(self._peers) < _MAX_CACHED:
                self._peers[peer] = trusted
        return trusted


def client_address(forwarded: str | None, peer: str) -> str:
    """Return the address that the gateway forwards, or the peer's if that is none."""
    return (parse_forwarded(forwarded) if forwarded else None) or peer
