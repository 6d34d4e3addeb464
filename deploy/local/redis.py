"""A private Redis."""

from pathlib import Path

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.ports import LOOPBACK
from deploy.local.programs import require
from deploy.local.server import START_TIMEOUT, Server


class Redis(Server):
    """A private Redis; `durable=False` does not write to disk."""

    name = "redis"

    def __init__(
        self, folder: Path, port: int, *, durable: bool = True, timeout: float = START_TIMEOUT
    ) -> None:
        super().__init__(folder, port, timeout=timeout)
        self._durable = durable

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        return [
            str(require("redis-server", "valkey-server")),
            *("--port", str(self.port)),
            *("--bind", LOOPBACK),
            *("--dir", str(self.folder)),
            *("--appendonly", "yes" if self._durable else "no"),
            *("--save", ""),
        ]

    def _probe(self) -> None:
        with Client(host=LOOPBACK, port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
