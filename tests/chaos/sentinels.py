"""A Redis with a replica, monitored by three Sentinels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis as Client

from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.redis import Redis
from deploy.local.servers import start_all, stop_all
from tests.support.client import eventually

SERVICE = "dialpass"
_NAMES = ("first", "second", "sentinel-a", "sentinel-b", "sentinel-c")
_DOWN_AFTER_MS = 1000


class Replica(Redis):
    """A replica of another Redis."""

    def __init__(self, folder: Path, port: int, master: int) -> None:
        super().__init__(folder, port, durable=False)
        self._master = master

    def _command(self) -> list[str]:
        return [*super()._command(), "--replicaof", f"{LOOPBACK} {self._master}"]


class Sentinel(Redis):
    """One of three Sentinels with a quorum of two."""

    def __init__(self, folder: Path, port: int, master: int) -> None:
        super().__init__(folder, port, durable=False)
        self._master = master

    def _prepare(self) -> None:
        super()._prepare()
        (self.folder / "sentinel.conf").write_text(
            f"sentinel monitor {SERVICE} {LOOPBACK} {self._master} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 10000\n"
        )

    def _command(self) -> list[str]:
        program, *options = super()._command()
        network = options[: options.index("--appendonly")]
        return [program, str(self.folder / "sentinel.conf"), "--sentinel", *network]


@dataclass(frozen=True)
class WatchedRedis:
    """The servers and their Sentinel URL."""

    first: Redis
    second: Replica
    sentinels: tuple[Sentinel, ...]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{LOOPBACK}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    async def until_watched(self) -> None:
        """Wait until the replica is in sync and every Sentinel knows it and the other Sentinels."""
        with Client(host=LOOPBACK, port=self.first.port) as client:
            await eventually(lambda: client.wait(1, 500) == 1, seconds=30)
        for sentinel in self.sentinels:
            with Client(host=LOOPBACK, port=sentinel.port) as client:
                await eventually(partial(_knows_all, client), seconds=30)


def _knows_all(client: Client) -> bool:
    masters: Any = client.sentinel_masters()
    state = masters[SERVICE]
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)


@contextmanager
def watched_redis(folder: Path) -> Iterator[WatchedRedis]:
    ports = free_ports(_NAMES)
    first = Redis(folder / "first", ports["first"], durable=False)
    second = Replica(folder / "second", ports["second"], master=first.port)
    sentinels = tuple(Sentinel(folder / name, ports[name], master=first.port) for name in _NAMES[2:])
    everything = (first, second, *sentinels)
    try:
        start_all([first])
        start_all([second, *sentinels])
        yield WatchedRedis(first, second, sentinels)
    finally:
        stop_all(everything)
