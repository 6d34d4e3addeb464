"""Addresses of a Redis that Sentinels watch: `redis+sentinel://user:password@host:port,…/service/0`."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from shared.host_port import split_hosts

_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_PORT = 26379
FORM = "redis+sentinel://[user:password@]host:port,host:port/service/database"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """What such an address names.

    Attributes:
        sentinels: host and port of each Sentinel.
        service: the name under which they watch the master.
        database: number of the database.
        username: of the Redis servers, or None.
        password: of the Redis servers, or None.
        sentinel_password: of the Sentinels themselves, or None; `?sentinel_password=…`.
        secure: whether the Redis servers speak TLS (`rediss+sentinel://`).
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)
    secure: bool


def is_sentinel(url: str) -> bool:
    """Tell whether an address names Sentinels."""
    return url.partition("://")[0] in _SCHEMES


def parse(url: str) -> SentinelAddress:
    """Return what an address names.

    Raises:
        ValueError: it is malformed; the message does not repeat it, since it may hold a password.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    service, _, database = parts.path.lstrip("/").partition("/")
    if not is_sentinel(url) or not service or not (database or "0").isdecimal():
        raise ValueError(f"it takes {FORM}")
    given = parse_qs(parts.query).get("sentinel_password")
    return SentinelAddress(
        sentinels=split_hosts(hosts, _PORT),
        service=service,
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=given[0] if given else None,
        secure=parts.scheme == "rediss+sentinel",
    )
