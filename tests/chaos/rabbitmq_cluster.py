"""A RabbitMQ cluster of three nodes on one machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.private import private_environment
from deploy.local.processes import OwnedProcess
from deploy.local.programs import require
from deploy.local.rabbitmq import RabbitMq, RabbitPorts
from deploy.local.servers import start_all, stop_all

_NAMES = ("a", "b", "c")


class ClusterNode(RabbitMq):
    """A node, which shares cookie and port mapper with the others and joins them at its start."""

    def __init__(self, folder: Path, name: str, ports: RabbitPorts) -> None:
        super().__init__(folder / name, ports)
        self._node = f"{name}@localhost"
        self._cluster_folder = folder

    def _password(self) -> str:
        return "the-same-on-every-node"

    def _start_epmd(self) -> None:
        """Do nothing: the cluster's port mapper must outlive each node."""

    def _configuration(self) -> str:
        peers = [
            f"cluster_formation.classic_config.nodes.{number} = {name}@localhost"
            for number, name in enumerate(_NAMES, 1)
        ]
        lines = ["cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config", *peers]
        return super()._configuration() + "\n".join(lines) + "\n"

    def environment(self) -> Mapping[str, str]:
        own = {"RABBITMQ_NODENAME": self._node, "HOME": str(self._cluster_folder)}
        return {**super().environment(), **own}


@dataclass(frozen=True)
class Cluster:
    """The nodes, in the order of `urls`."""

    nodes: tuple[ClusterNode, ...]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]


@contextmanager
def rabbitmq_cluster(folder: Path) -> Iterator[Cluster]:
    ports = free_ports(["epmd", *_NAMES, *(f"{name}-distribution" for name in _NAMES)])
    nodes = tuple(
        ClusterNode(folder, name, RabbitPorts(ports[name], ports["epmd"], ports[f"{name}-distribution"]))
        for name in _NAMES
    )
    epmd = OwnedProcess(
        [str(require("epmd")), "-port", str(ports["epmd"]), "-address", LOOPBACK],
        log=folder / "epmd.log",
        pid_file=folder / "epmd.pid",
        environment=private_environment(folder),
    )
    try:
        # At once: since 4.0 a node of a list waits for the others, from which the first one is chosen.
        start_all(nodes)
        yield Cluster(nodes)
    finally:
        stop_all(nodes)
        epmd.end()
