"""A private Redis."""

import secrets
from pathlib import Path

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.files import read_or_create, write_private
from deploy.local.ports import LOOPBACK
from deploy.local.programs import require
from deploy.local.server import START_TIMEOUT, Server, ServerTls


class Redis(Server):
    """A private Redis.

    Args:
        folder: its data.
        port: its port.
        durable: whether to write to disk.
        protected: whether it asks for a password.
        tls: the files of its certificate, and another port for TLS; None for none.
        timeout: seconds until it has to answer.
    """

    name = "redis"

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        durable: bool = True,
        protected: bool = False,
        tls: tuple[ServerTls, int] | None = None,
        timeout: float = START_TIMEOUT,
    ) -> None:
        super().__init__(folder, port, timeout=timeout)
        self._durable = durable
        self._protected = protected
        self._tls = tls

    @property
    def url(self) -> str:
        """The URL of database 0."""
        password = self._password()
        return f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{self.port}/0"

    def _password(self) -> str | None:
        if not self._protected:
            return None
        return read_or_create(self.folder / "password", lambda: secrets.token_hex(16))

    def _prepare(self) -> None:
        super()._prepare()
        if self._protected:
            # In a file: the list of processes shows arguments to everybody.
            write_private(self.folder / "redis.conf", f"requirepass {self._password()}\n")

    def _command(self) -> list[str]:
        return [
            str(require("redis-server", "valkey-server")),
            *([str(self.folder / "redis.conf")] if self._protected else ()),
            *("--port", str(self.port)),
            *("--bind", LOOPBACK),
            *("--dir", str(self.folder)),
            *("--appendonly", "yes" if self._durable else "no"),
            *("--save", ""),
            *(_tls_options(*self._tls) if self._tls else ()),
        ]

    def _probe(self) -> None:
        with Client.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()


def _tls_options(tls: ServerTls, port: int) -> list[str]:
    return [
        *("--tls-port", str(port)),
        *("--tls-ca-cert-file", str(tls.ca)),
        *("--tls-cert-file", str(tls.certificate)),
        *("--tls-key-file", str(tls.key)),
        *("--tls-auth-clients", "no"),
    ]
