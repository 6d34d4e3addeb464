"""The three private servers."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_ports
from deploy.local.rabbitmq import RabbitMq, RabbitPorts
from deploy.local.redis import Redis
from deploy.local.server import Server

PORT_NAMES = ("mariadb", "redis", "rabbitmq", "rabbitmq-epmd", "rabbitmq-distribution")
MANAGEMENT = "rabbitmq-management"


@dataclass(frozen=True)
class Servers:
    """A private instance of each server."""

    mariadb: MariaDb
    redis: Redis
    rabbitmq: RabbitMq

    @property
    def all(self) -> tuple[Server, ...]:
        """The three of them."""
        return self.mariadb, self.redis, self.rabbitmq


def make_servers(folder: Path, ports: dict[str, int], *, durable: bool) -> Servers:
    """Return servers, not started, with their data in `folder`."""
    rabbit_ports = RabbitPorts(
        amqp=ports["rabbitmq"],
        epmd=ports["rabbitmq-epmd"],
        distribution=ports["rabbitmq-distribution"],
        management=ports.get(MANAGEMENT),
    )
    return Servers(
        MariaDb(folder / "mariadb", ports["mariadb"], durable=durable),
        Redis(folder / "redis", ports["redis"], durable=durable, protected=durable),
        RabbitMq(folder / "rabbitmq", rabbit_ports, service_users=True),
    )


def throwaway(folder: Path) -> Servers:
    """Return servers for tests, on free ports and not durable."""
    return make_servers(folder, free_ports(PORT_NAMES), durable=False)


def start_all(servers: Sequence[Server], report: Callable[[str], None] = print) -> None:
    """Start the servers in parallel; if one fails, all are stopped."""

    def start(server: Server) -> None:
        began = time.monotonic()
        server.start()
        report(f"{server.name} answers after {time.monotonic() - began:.1f} s")

    with ThreadPoolExecutor(max(1, len(servers))) as threads:
        try:
            for started in [threads.submit(start, server) for server in servers]:
                started.result()
        except BaseException:
            # Inside the block, because leaving it waits for the threads.
            for server in servers:
                server.stop()
            raise


def stop_all(servers: Iterable[Server]) -> None:
    """Stop the servers in parallel."""
    with ThreadPoolExecutor() as threads:
        for stopped in [threads.submit(server.stop) for server in servers]:
            stopped.result()
