"""URLs of servers that may have several nodes: MySQL or MariaDB, and Redis behind Sentinels."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from shared.security.tls import TlsFiles, client_context

MYSQL_URL_FORMAT = (
    "mysql://user:password@host:port/name, several servers as host:port,host:port; with TLS"
    " ?tls=verify&tls_ca=FILE"
)
SENTINEL_URL_FORMAT = "redis+sentinel://[user:password@]host:port,host:port/service/database"
_MYSQL_PARAMETERS = frozenset({"tls", "tls_ca", "tls_cert", "tls_key"})
_TLS_MODES = frozenset({"verify", "off"})
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
        tls: the files of TLS, which verifies certificate and host name; None for no TLS.
    """

    nodes: Nodes
    user: str
    password: str = field(repr=False)
    database: str
    tls: TlsFiles | None = None


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
        tls: the files of TLS: `?ssl_ca_certs=…`, `ssl_certfile`, `ssl_keyfile`.
        sentinels_secure: whether the Sentinels use TLS, too; `?sentinel_ssl=true`.
        check_hostname: whether the Redis servers' certificates have to name the announced host;
            `?ssl_check_hostname=false` where Sentinels announce addresses, which no certificate names.
            Then `ssl_ca_certs` is needed, and should be an authority that signs for Redis alone.
    """

    sentinels: Nodes
    service: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)
    secure: bool
    tls: TlsFiles = field(default_factory=TlsFiles)
    sentinels_secure: bool = False
    check_hostname: bool = True

    def authority(self) -> ssl.SSLContext | None:
        """Return a context that takes the authority's certificates for any host, or None to look at hosts.

        It does not take those of the system's authorities.
        """
        if not self.secure or self.check_hostname:
            return None
        context = client_context(self.tls)
        context.check_hostname = False
        return context


def parse_mysql_url(url: str) -> MysqlAddress:
    """Parse `mysql://user:password@host:port/name`, with several hosts separated by commas.

    `?tls=verify` verifies the server's certificate and host name, against the CA in the file `tls_ca` or
    those of the system; `tls_cert` and `tls_key` are the client's own certificate.

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
    tls = _parse_mysql_tls(parts.query)
    return MysqlAddress(nodes, unquote(user), unquote(password), unquote(database), tls)


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
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    check_hostname = query.get("ssl_check_hostname", "true")
    if check_hostname not in {"true", "false"}:
        raise ValueError("ssl_check_hostname takes true or false")
    if check_hostname == "false" and "ssl_ca_certs" not in query:
        raise ValueError("ssl_check_hostname=false needs ssl_ca_certs")
    return SentinelAddress(
        sentinels=_parse_nodes(hosts, _SENTINEL_PORT),
        service=service,
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=query.get("sentinel_password"),
        secure=parts.scheme == "rediss+sentinel",
        tls=redis_tls(query),
        sentinels_secure=query.get("sentinel_ssl", "false") == "true",
        check_hostname=check_hostname == "true",
    )


def redis_tls(query: dict[str, str]) -> TlsFiles:
    """Return the files of TLS in a Redis URL's query; the names are redis-py's."""
    return TlsFiles(query.get("ssl_ca_certs"), query.get("ssl_certfile"), query.get("ssl_keyfile"))


def _parse_mysql_tls(query: str) -> TlsFiles | None:
    """Return the files of TLS, or None for no TLS; a misspelt parameter is no way to get none."""
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    mode = parameters.get("tls", "off")
    if parameters.keys() - _MYSQL_PARAMETERS or mode not in _TLS_MODES:
        raise ValueError(f"it takes {MYSQL_URL_FORMAT}")
    if mode == "off":
        if len(parameters) > ("tls" in parameters):
            raise ValueError("tls_ca, tls_cert and tls_key need tls=verify")
        return None
    files = TlsFiles(parameters.get("tls_ca"), parameters.get("tls_cert"), parameters.get("tls_key"))
    client_context(files)
    return files


def _parse_nodes(hosts: str, default_port: int) -> Nodes:
    return tuple(_parse_node(host.strip(), default_port) for host in hosts.split(","))


def _parse_node(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or default_port
