"""URLs of servers that may have several nodes: MySQL or MariaDB, and Redis behind Sentinels."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

MYSQL_URL_FORMAT = "mysql://user:password@host:port/name, several servers as host:port,host:port"
SENTINEL_URL_FORMAT = "redis+sentinel://[user:password@]host:port,host:port/service/database"
_MYSQL_PORT = 3306
_SENTINEL_PORT = 26379
_SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")

Nodes = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class MysqlAddress:
    """A parsed MySQL URL.

    Attributes:
        nodes: host and port of each server; one of them takes writes.
        user: the database user.
        password: the user's password.
        database: the database.
    """

    nodes: Nodes
    user: str
    password: str = field(repr=False)
    database: str


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """A parsed URL of a Redis that Sentinels monitor.

    Attributes:
        sentinels: host and port of each Sentinel.
        service: the name of the monitored master.
        database: the number of the database.
        username: for the Redis servers, or None.
        password: for the Redis servers, or None.
        sentinel_password: for the Sentinels, or None; `?sentinel_password=…` in the URL.
        secure: whether the Redis servers use TLS (`rediss+sentinel://`).
    """

    sentinels: Nodes
    service: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)
    secure: bool


def parse_mysql_url(url: str) -> MysqlAddress:
    """Parse `mysql://user:password@host:port/name`, with several hosts separated by commas.

    Raises:
        ValueError: the URL is malformed; the message does not repeat it because it holds a password.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    database = parts.path.lstrip("/")
    if parts.scheme != "mysql" or not database or "/" in database:
        raise ValueError(f"it takes {MYSQL_URL_FORMAT}")
    nodes = _parse_nodes(hosts, _MYSQL_PORT)
    return MysqlAddress(nodes, unquote(user), unquote(password), unquote(database))


def is_sentinel_url(url: str) -> bool:
    """Return whether the URL names Sentinels."""
    return url.partition("://")[0] in _SENTINEL_SCHEMES


def parse_sentinel_url(url: str) -> SentinelAddress:
    """Parse `redis+sentinel://user:password@host:port,…/service/0`.

    Raises:
        ValueError: the URL is malformed; the message does not repeat it because it may hold a password.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    service, _, database = parts.path.lstrip("/").partition("/")
    if not is_sentinel_url(url) or not service or not (database or "0").isdecimal():
        raise ValueError(f"it takes {SENTINEL_URL_FORMAT}")
    sentinel_password = parse_qs(parts.query).get("sentinel_password")
    return SentinelAddress(
        sentinels=_parse_nodes(hosts, _SENTINEL_PORT),
        service=service,
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=sentinel_password[0] if sentinel_password else None,
        secure=parts.scheme == "rediss+sentinel",
    )


def _parse_nodes(hosts: str, default_port: int) -> Nodes:
    return tuple(_parse_node(host.strip(), default_port) for host in hosts.split(","))


def _parse_node(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or default_port
