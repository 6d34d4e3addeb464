"""A private RabbitMQ."""

import asyncio
import json
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
from deploy.local.private import private_environment
from deploy.local.processes import stop_stale
from deploy.local.programs import rabbitmq_script, require
from deploy.local.server import POLL_SECONDS, START_TIMEOUT, Server, ServerTls

USER = "dialpass"
# The node's name is part of the path of its data, so it must not depend on a port.
NODE = "dialpass@localhost"
# The users and their rights; the passwords are made by each run.
DEFINITIONS = Path(__file__).parents[1] / "rabbitmq" / "definitions.json"
EPMD_TIMEOUT = 10.0
ERLANG_OPTIONS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


@dataclass(frozen=True)
class RabbitPorts:
    """The ports of a broker; without a port, the management page and TLS are off."""

    amqp: int
    epmd: int
    distribution: int
    management: int | None = None
    tls: int | None = None


class RabbitMq(Server):
    """A private RabbitMQ node with its own port mapper (epmd).

    Args:
        folder: its data.
        ports: its ports.
        service_users: whether to create the users of `deploy/rabbitmq/definitions.json`, too, which have
            the rights that each service needs.
        tls: files of a certificate for a TLS port, or None for none.
        timeout: seconds until it has to answer.
    """

    name = "rabbitmq"

    def __init__(
        self,
        folder: Path,
        ports: RabbitPorts,
        *,
        service_users: bool = False,
        tls: ServerTls | None = None,
        timeout: float = START_TIMEOUT,
    ) -> None:
        super().__init__(folder, ports.amqp, timeout=timeout)
        self._ports = ports
        self._service_users = service_users
        self._tls = tls

    @property
    def url(self) -> str:
        """The URL of the virtual host `/`."""
        return f"amqp://{USER}:{self._password()}@{LOOPBACK}:{self.port}/"

    def url_of(self, user: str) -> str:
        """Return the URL for a user of the definitions."""
        return f"amqp://{user}:{self._password_of(user)}@{LOOPBACK}:{self.port}/"

    @property
    def management_url(self) -> str | None:
        """The URL of the management page, or None if it is off."""
        port = self._ports.management
        return f"http://{LOOPBACK}:{port}/" if port else None

    def management_url_of(self, user: str) -> str | None:
        """Return the URL of the management API for a user of the definitions, or None if it is off."""
        port = self._ports.management
        return f"http://{user}:{self._password_of(user)}@{LOOPBACK}:{port}/" if port else None

    def start(self) -> None:
        """Start it and wait until it accepts clients."""
        complete = self.folder / "complete"
        if not complete.exists():  # the first start was interrupted, or there was none
            shutil.rmtree(self.folder / "data", ignore_errors=True)
        super().start()
        complete.touch()

    def _password(self) -> str:
        return read_or_create(self.folder / "password", lambda: secrets.token_hex(16))

    def _password_of(self, user: str) -> str:
        if user == USER:
            return self._password()
        return read_or_create(self.folder / f"password-{user}", lambda: secrets.token_hex(16))

    def _definitions(self) -> str:
        """Return the definitions of all users, with their passwords."""
        definitions = json.loads(DEFINITIONS.read_text())
        for user in definitions["users"]:
            user["password"] = self._password_of(user["name"])
        return json.dumps(definitions)

    def _prepare(self) -> None:
        super()._prepare()
        if self._service_users:
            write_private(self.folder / "definitions.json", self._definitions())
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
            # This log is replayed at each start.
            "raft.wal_max_size_bytes = 33554432",
        ]
        if self._service_users:
            lines.append(f"load_definitions = {self.folder / 'definitions.json'}")
        if self._tls and self._ports.tls:
            lines += [
                f"listeners.ssl.1 = {LOOPBACK}:{self._ports.tls}",
                f"ssl_options.cacertfile = {self._tls.ca}",
                f"ssl_options.certfile = {self._tls.certificate}",
                f"ssl_options.keyfile = {self._tls.key}",
            ]
        if self._ports.management:
            lines += [
                f"management.tcp.ip = {LOOPBACK}",
                f"management.tcp.port = {self._ports.management}",
            ]
        return "\n".join(lines) + "\n"

    def _start_epmd(self) -> None:
        """Start the port mapper in the foreground; the node would start it as a daemon."""
        stop_stale(self.folder / "epmd.pid")
        options = ["-port", str(self._ports.epmd), "-address", LOOPBACK]
        epmd = self._spawn("epmd", [str(require("epmd")), *options])
        self._helpers.append(epmd)
        deadline = time.monotonic() + EPMD_TIMEOUT
        while not _is_listening(self._ports.epmd):
            if not epmd.running or time.monotonic() > deadline:
                raise LocalError(f"epmd did not start on port {self._ports.epmd}")
            epmd.wait(POLL_SECONDS)

    def _command(self) -> list[str]:
        return [str(rabbitmq_script()), "-noinput"]

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the node and its commands."""
        # HOME is the folder of the Erlang cookie.
        return private_environment(self.folder) | {
            "ERL_EPMD_PORT": str(self._ports.epmd),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP_SECONDS": "0",
            # Makes the start script exec the server.
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
        if not _is_listening(self.port):
            raise ConnectionError
        # In a thread, because the caller's may have a running event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _connect(self.url)).result()


async def _connect(url: str) -> None:
    connection = await aio_pika.connect(url, timeout=5)
    await connection.close()


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
