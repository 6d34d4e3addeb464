"""`host:port` as it stands in addresses that name several servers."""

from urllib.parse import urlsplit


def split_hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    """Return host and port of each server of a comma-separated list.

    Raises:
        ValueError: one has no host, or a port that is no number.
    """
    return tuple(_split(host.strip(), default_port) for host in text.split(","))


def _split(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or default_port
