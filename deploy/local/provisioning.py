"""Provision the three servers: named by the user, started from this machine's programs, or from Docker."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import programs
from deploy.local.compose import Compose
from deploy.local.environment import Settings
from deploy.local.errors import LocalError
from deploy.local.ports import persistent_ports
from deploy.local.server import Server
from deploy.local.servers import MANAGEMENT, PORT_NAMES, make_servers, start_all, stop_all

# The services that have users of their own on the broker.
BROKER_USERS = ("auth", "sms")
VARIABLES = {"mariadb": "MYSQL_URL", "redis": "REDIS_URL", "rabbitmq": "AMQP_URL"}

Report = Callable[[str], None]


@dataclass
class ProvisionedServers:
    """The servers of a run.

    Attributes:
        urls: by environment variable.
        own_urls: those with which a service has only its own rights, by service and environment variable.
        origins: a description for the user, by server name.
        private: the servers that this run started itself.
        management_url: of RabbitMQ's management page, or None.
    """

    urls: Settings = field(default_factory=dict)
    own_urls: dict[str, Settings] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    private: list[Server] = field(default_factory=list)
    management_url: str | None = None


def provision(
    root: Path, run: Path, settings: Settings, closing: ExitStack, report: Report
) -> ProvisionedServers:
    """Make all three servers available; the ones started here are stopped by `closing`."""
    servers = ProvisionedServers()
    wanted = []
    for name, variable in VARIABLES.items():
        if variable in settings:
            servers.urls[variable] = settings[variable]
            servers.origins[name] = f"the one that {variable} names"
        else:
            wanted.append(name)
    installed = _install(wanted, report)
    _start_private(servers, run, installed, closing, report)
    _start_containers(servers, root, [name for name in wanted if name not in installed], closing, report)
    return servers


def _install(wanted: list[str], report: Report) -> list[str]:
    """Install what is missing, if possible; return the servers whose programs are present."""
    missing = [name for name in wanted if not programs.present(name)]
    if missing and programs.can_install():
        programs.install(missing, report)
    return [name for name in wanted if programs.present(name)]


def _start_private(
    servers: ProvisionedServers, run: Path, names: list[str], closing: ExitStack, report: Report
) -> None:
    ports = persistent_ports(run / "ports.json", (*PORT_NAMES, MANAGEMENT))
    private = make_servers(run, ports, durable=True)
    servers.private = [server for server in private.all if server.name in names]
    closing.callback(stop_all, servers.private)
    start_all(servers.private, report)
    for server in servers.private:
        servers.urls[VARIABLES[server.name]] = server.url
        servers.origins[server.name] = f"private, port {server.port}, {server.folder}"
    if "rabbitmq" in names:
        servers.management_url = private.rabbitmq.management_url
        servers.own_urls = {
            service: {"AMQP_URL": private.rabbitmq.url_of(service)} for service in BROKER_USERS
        }
        servers.urls["RABBITMQ_MANAGEMENT_URL"] = private.rabbitmq.management_url_of("monitor") or ""


def _start_containers(
    servers: ProvisionedServers, root: Path, names: list[str], closing: ExitStack, report: Report
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
        servers.urls[VARIABLES[name]], servers.origins[name] = url, "in Docker"
    if "rabbitmq" in names:
        servers.own_urls = {
            service: {"AMQP_URL": url} for service, url in compose.broker_urls(BROKER_USERS).items()
        }
