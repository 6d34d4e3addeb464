"""Where the three servers come from: set by the user, this machine's programs, or Docker."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import programs
from deploy.local.compose import Compose
from deploy.local.environment import Settings
from deploy.local.errors import LocalError
from deploy.local.ports import kept_ports
from deploy.local.server import Server
from deploy.local.servers import MANAGEMENT, PORT_NAMES, make_servers, start_all, stop_all

VARIABLES = {"mariadb": "MYSQL_URL", "redis": "REDIS_URL", "rabbitmq": "AMQP_URL"}

Report = Callable[[str], None]


@dataclass
class Supply:
    """The servers of a run: their addresses by variable, and where each came from."""

    urls: Settings = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    private: list[Server] = field(default_factory=list)
    management_url: str | None = None


def provide(root: Path, run: Path, settings: Settings, closing: ExitStack, report: Report) -> Supply:
    """Have all three servers ready; whatever is started here is stopped by `closing`."""
    supply = Supply()
    wanted = []
    for name, variable in VARIABLES.items():
        if variable in settings:
            supply.urls[variable] = settings[variable]
            supply.origins[name] = f"the one that {variable} names"
        else:
            wanted.append(name)
    runnable = _runnable(wanted, report)
    _start_private(supply, run, runnable, closing, report)
    _start_containers(supply, root, [name for name in wanted if name not in runnable], closing, report)
    return supply


def _runnable(wanted: list[str], report: Report) -> list[str]:
    missing = [name for name in wanted if not programs.present(name)]
    if missing and programs.can_install():
        programs.install(missing, report)
    return [name for name in wanted if programs.present(name)]


def _start_private(supply: Supply, run: Path, names: list[str], closing: ExitStack, report: Report) -> None:
    ports = kept_ports(run / "ports.json", (*PORT_NAMES, MANAGEMENT))
    servers = make_servers(run, ports, durable=True)
    supply.private = [server for server in servers.all if server.name in names]
    closing.callback(stop_all, supply.private)
    start_all(supply.private, report)
    for server in supply.private:
        supply.urls[VARIABLES[server.name]] = server.url
        supply.origins[server.name] = f"private, port {server.port}, {server.folder}"
    if "rabbitmq" in names:
        supply.management_url = servers.rabbitmq.management_url


def _start_containers(
    supply: Supply, root: Path, names: list[str], closing: ExitStack, report: Report
) -> None:
    if not names:
        return
    compose = Compose.find(root)
    if compose is None:
        variables = ", ".join(VARIABLES[name] for name in names)
        raise LocalError(f"{programs.advice(names)}; or start Docker, or set {variables}")
    report(f"starting {', '.join(names)} with Docker")
    closing.callback(compose.stop, names)
    compose.start(names)
    for name, url in compose.urls(names).items():
        supply.urls[VARIABLES[name]], supply.origins[name] = url, "in Docker"
