"""Limits for the connections of clients, and the limit of the process's descriptors."""

import resource
from contextlib import suppress
from dataclasses import dataclass, field

from shared.networks import IpNetwork, host_of, parse_address


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections a server keeps, and how long it waits for their clients.

    Attributes:
        max_open: connections in all; none is accepted beyond it.
        max_per_address: connections of one address, or of one /64 of IPv6; None for any number.
        uncapped: networks whose addresses may have any number: proxies in front of the server.
        head_seconds: for the head of a request to arrive, and for the first one to begin.
        idle_seconds: that a connection may be without a request.
        crowded_idle_seconds: the same while nine tenths of `max_open` are in use.
        body_idle_seconds: between two reads of a request's body.
        body_seconds: for a whole body, and one second more for each `body_rate` bytes that have come: a
            body may take long, but nobody holds a connection by sending a byte now and then.
        body_rate: bytes per second, see above.
        write_seconds: without progress of what is written to a client. Longer than a phone is in a tunnel.
    """

    max_open: int = 4096
    max_per_address: int | None = None
    uncapped: tuple[IpNetwork, ...] = ()
    head_seconds: float = 10.0
    idle_seconds: float = 3600.0
    crowded_idle_seconds: float = 5.0
    body_idle_seconds: float = 20.0
    body_seconds: float = 60.0
    body_rate: float = 500.0
    write_seconds: float = 75.0


@dataclass(slots=True)
class AddressCounter:
    """Counts the open connections by address.

    Attributes:
        limits: the limits that apply.
    """

    limits: ConnectionLimits
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, address: str) -> bool:
        """Count a connection, unless its address has as many as it may."""
        key = self._key(address)
        count = self._counts.get(key, 0)
        if key and self.limits.max_per_address is not None and count >= self.limits.max_per_address:
            return False
        self._counts[key] = count + 1
        return True

    def remove(self, address: str) -> None:
        """Forget a connection that was counted."""
        key = self._key(address)
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]

    def _key(self, address: str) -> str:
        """Return what is counted: the address or its network; empty for what is not capped."""
        if self.limits.max_per_address is None:
            return ""
        parsed = parse_address(address)
        if parsed is not None and any(parsed in network for network in self.limits.uncapped):
            return ""
        return host_of(address)


def raise_descriptor_limit() -> None:
    """Raise the process's soft limit of descriptors to the hard one: many systems begin with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a lower limit beside it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def within_descriptors(wanted: int, reserved: int) -> int:
    """Return how many connections of clients fit.

    Args:
        wanted: the number that is wished for.
        reserved: descriptors for everything else. Half of all are left to clients in any case: the other
            connections of the gateway are opened for requests, of which each client's has one at a time.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(soft - reserved, soft // 2))
