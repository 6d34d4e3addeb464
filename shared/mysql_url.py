"""Addresses of MySQL or MariaDB: `mysql://user:password@host:port/name`, with several hosts after commas."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from shared.host_port import split_hosts

_PORT = 3306
FORM = "mysql://user:password@host:port/name, several servers as host:port,host:port"


@dataclass(frozen=True, slots=True)
class MysqlAddress:
    """What such an address names.

    Attributes:
        nodes: host and port of each server; one of them takes writes.
        user: name of the database user.
        password: their password.
        database: name of the database.
    """

    nodes: tuple[tuple[str, int], ...]
    user: str
    password: str = field(repr=False)
    database: str


def parse(url: str) -> MysqlAddress:
    """Return what an address names.

    Raises:
        ValueError: it is malformed; the message does not repeat it, since it holds a password.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    database = parts.path.lstrip("/")
    if parts.scheme != "mysql" or not database or "/" in database:
        raise ValueError(f"it takes {FORM}")
    nodes = split_hosts(hosts, _PORT)
    return MysqlAddress(nodes, unquote(user), unquote(password), unquote(database))
