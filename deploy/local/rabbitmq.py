"""A private RabbitMQ."""

import asyncio
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aio_pika

from deploy.local.errors import LocalError
from deploy.local.files import read_or_create, write_private
from deploy.local.ports import LOOPBACK
from deploy.local.processes import stop_stale
from deploy.local.programs import rabbitmq_script, require
from deploy.local.server import PATIENCE, POLL, Server

USER = "dialpass"
# The node's name is part of where its data lies, so it must not depend on a port.
NODE = "dialpass@localhost"
EPMD_PATIENCE = 10.0
ERLANG_OPTIONS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


@dataclass(frozen=True)
class RabbitPorts:
    """The ports of a broker; its management page is off without one."""

    amqp: int
    epmd: int
    distribution: int
    management: int | None = None


class RabbitMq(Server):
    """A private RabbitMQ node with a port mapper (epmd) of its own."""

    name = "rabbitmq"

    def __init__(self, folder: Path, ports: RabbitPorts, *, patience: float = PATIENCE) -> None:
        super().__init__(folder, ports.amqp, patience=patience)
        self._ports = ports

    @property
    def url(self) -> str:
        """The address of the virtual host `/`."""
        return f"amqp://{USER}:{self._password()}@{LOOPBACK}:{self.port}/"

    @property
    def management_url(self) -> str | None:
        """The address of the management page, where it is on."""
        port = self._ports.management
        return f"http://{LOOPBACK}:{port}/" if port else None

    def start(self) -> None:
        """Start it and return once it lets a client in."""
        complete = self.folder / "complete"
        if not complete.exists():  # never ran, or was cut off while it made its first data
            shutil.rmtree(self.folder / "data", ignore_errors=True)
        super().start()
        complete.touch()

    def _password(self) -> str:
        return read_or_create(self.folder / "password", lambda: secrets.token_hex(16))

    def _prepare(self) -> None:
        super()._prepare()
        write_private(self.folder / "rabbitmq.conf", self._configuration())
        plugins = "[rabbitmq_management]." if self._ports.management else "[]."
        write_private(self.folder / "enabled_plugins", plugins)
        write_private(self.folder / "advanced.config", "[].\n")
        write_private(self.folder / "rabbitmq-env.conf", "")
        self._start_epmd()

    def _configuration(self) -> str:
        lines = [
            f"listeners.tcp.1 = {LOOPBACK}:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {self._password()}",
            "log.file = false",
            "log.console = true",
            "disk_free_limit.absolute = 50MB",
            # The log that is read again at each start.
            "raft.wal_max_size_bytes = 33554432",
        ]
        if self._ports.management:
            lines += [
                f"management.tcp.ip = {LOOPBACK}",
                f"management.tcp.port = {self._ports.management}",
            ]
        return "\n".join(lines) + "\n"

    def _start_epmd(self) -> None:
        """Start the port mapper in the foreground; the node would leave a daemon behind."""
        stop_stale(self.folder / "epmd.pid")
        options = ["-port", str(self._ports.epmd), "-address", LOOPBACK]
        epmd = self._spawn("epmd", [str(require("epmd")), *options], self._environment())
        self._helpers.append(epmd)
        deadline = time.monotonic() + EPMD_PATIENCE
        while not _listens(self._ports.epmd):
            if not epmd.running or time.monotonic() > deadline:
                raise LocalError(f"epmd did not start on port {self._ports.epmd}")
            epmd.wait(POLL)

    def _command(self) -> list[str]:
        return [str(rabbitmq_script()), "-noinput"]

    def _environment(self) -> Mapping[str, str]:
        # Nothing of a broker that the machine may have of its own comes through.
        foreign = ("RABBITMQ_", "ERL_", "ERLANG_")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return inherited | {
            "HOME": str(self.folder),  # where Erlang keeps its cookie
            "ERL_EPMD_PORT": str(self._ports.epmd),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP_SECONDS": "0",
            # Makes the start script become the server and not its parent.
            "detached": "true",
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self._ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_OPTIONS,
        }

    def _probe(self) -> None:
        if not _listens(self.port):
            raise ConnectionError
        # In a thread, since the caller's may have a running event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _shake_hands(self.url)).result()


async def _shake_hands(url: str) -> None:
    connection = await aio_pika.connect(url, timeout=5)
    await connection.close()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
