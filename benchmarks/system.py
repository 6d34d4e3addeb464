"""The whole system for a benchmark: private servers, migrated tables, accounts, the services."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks import provider
from benchmarks.processes import PATIENCE, module, running
from benchmarks.progress import Report
from deploy.local.environment import RELAXED_LIMITS
from deploy.local.errors import LocalError, tail
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import OwnedProcess
from deploy.local.programs import ensure_programs
from deploy.local.servers import Servers, start_all, stop_all, throwaway
from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database
from services.auth.db.migrate import migrate
from services.auth.models import NewUser
from services.auth.passwords.hasher import PasswordHasher
from services.auth.tokens.signing_keys import create_key
from shared.observability.metrics import AuthMetrics, new_registry

ROUNDS = 12
PASSWORD = "correct horse battery"
ACCOUNTS = 400
POLL = 0.005
# Quotas count, but the load of a benchmark stays inside them.
UNLIMITED = "1000000000"
BUDGETS = {
    "CODE_LIMIT_DIAL_CODE": f"86={UNLIMITED}/day,*=1/day",
    "CODE_LIMIT_SPEND": UNLIMITED,
    "CODE_LIMIT_ADDRESS": f"{UNLIMITED}/day",
    "CODE_LIMIT_NETWORK": f"{UNLIMITED}/day",
    "CODE_LIMIT_PREFIX": f"{UNLIMITED}/day",
    "CODE_LIMIT_CONVERSION": "0",
    "CODE_CHALLENGE_ADDRESS": f"{UNLIMITED}/day",
    "CODE_CHALLENGE_NETWORK": f"{UNLIMITED}/day",
    "CODE_CHALLENGE_PREFIX": f"{UNLIMITED}/hour",
    "CODE_CHALLENGE_GLOBAL": f"{UNLIMITED}/minute",
    "CODE_CHALLENGE_CONVERSION": "0",
    "SMS_RATE_LIMIT": "99999/s",
}


@dataclass(frozen=True, slots=True)
class System:
    """Servers that are up, and what the services need to be started."""

    folder: Path
    settings: Mapping[str, str]
    ports: Mapping[str, int]
    mobiles: Sequence[str]

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    def variant(self, name: str, **settings: str) -> "System":
        """Return the same system with other settings for the services, and a folder for their logs."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        sms_port = int(settings.get("SMS_PORT", self.ports["sms"]))
        return replace(
            self, folder=folder, settings={**self.settings, **settings}, ports={**self.ports, "sms": sms_port}
        )

    @contextmanager
    def service(self, name: str) -> Iterator["Started"]:
        """Run a service for the block's time, beginning when it is ready."""
        began = time.perf_counter()
        command = module(f"services.{name}", "serve")
        with running(name, command, self.folder, self.settings) as process:
            self._await_ready(name, process)
            yield Started(process.pid, time.perf_counter() - began)

    def operators_page(self, name: str, path: str) -> tuple[int, str]:
        """Return status and text of a page of a service's operators' port."""
        port = self.ports["gateway-ops" if name == "gateway" else name]
        connection = HTTPConnection(LOOPBACK, port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _await_ready(self, name: str, process: OwnedProcess) -> None:
        deadline = time.monotonic() + PATIENCE
        while process.running and time.monotonic() < deadline:
            try:
                if self.operators_page(name, "/readyz")[0] == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(POLL)
        raise LocalError(f"{name} does not become ready:\n{tail(self.folder / f'{name}.log')}")


@dataclass(frozen=True, slots=True)
class Started:
    """A service that is ready, and the seconds that this took."""

    pid: int
    seconds: float


@contextmanager
def running_system(folder: Path, report: Report) -> Iterator[System]:
    """Have the three servers, the tables, the accounts and a stand-in for Yunpian."""
    ensure_programs("mariadb", "redis", "rabbitmq")
    servers = throwaway(folder / "servers")
    start_all(servers.all, report)
    try:
        ports = free_ports(("gateway", "gateway-ops", "auth", "sms", "provider"))
        settings = _settings(folder, servers, ports)
        create_key(folder / "keys", "ES256", datetime.now(UTC))
        migrate(servers.mariadb.url)
        mobiles = [f"138{number:08}" for number in range(ACCOUNTS)]
        asyncio.run(_add_accounts(servers.mariadb.url, mobiles))
        with provider.answering(ports["provider"], 0, folder):
            yield System(folder, settings, ports, mobiles)
    finally:
        stop_all(servers.all)


def _settings(folder: Path, servers: Servers, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "MYSQL_URL": servers.mariadb.url,
        "REDIS_URL": servers.redis.url,
        "AMQP_URL": servers.rabbitmq.url,
        "GATEWAY_PORT": str(ports["gateway"]),
        "GATEWAY_OPS_PORT": str(ports["gateway-ops"]),
        "AUTH_PORT": str(ports["auth"]),
        "AUTH_URL": f"http://{LOOPBACK}:{ports['auth']}",
        "SMS_PORT": str(ports["sms"]),
        "SMS_URL": f"http://{LOOPBACK}:{ports['sms']}",
        "TRUSTED_PROXIES": LOOPBACK,
        "CODE_SECRET": secrets.token_hex(32),
        "MESSAGE_SECRET": secrets.token_hex(32),
        "GATEWAY_SECRET": secrets.token_hex(32),
        "SIGNING_KEYS_DIR": str(folder / "keys"),
        "BCRYPT_ROUNDS": str(ROUNDS),
        "YUNPIAN_BASE_URL": f"http://{LOOPBACK}:{ports['provider']}",
        "YUNPIAN_API_KEY": secrets.token_hex(16),
        "SMS_SIGNATURE": "Dialpass",
        **RELAXED_LIMITS,
        # All budgets are counted, none is ever used up.
        "CODE_CHALLENGE_GLOBAL": "1000000000/day",
        "CODE_CHALLENGE_ADDRESS": "1000000000/day",
        "CODE_CHALLENGE_NETWORK": "1000000000/day",
        "CODE_CHALLENGE_PREFIX": "1000000000/day",
        "CODE_LIMIT_DIAL_CODE": "*=1000000000/day",
        "CODE_LIMIT_SPEND": "1000000000",
        "SMS_RATE_LIMIT": "none",
        "LOG_FORMAT": "json",
        "DRAIN_DELAY": "0",
        "DRAIN_TIMEOUT": "2",
        **BUDGETS,
    }


async def _add_accounts(url: str, mobiles: Sequence[str]) -> None:
    """Add accounts that share one password, and its hash, which would take long to compute for each."""
    passwords = PasswordHasher(rounds=ROUNDS, workers=1, max_wait=10, metrics=AuthMetrics(new_registry()))
    database = Database(url, 1)
    users = UserRepository(database)
    hashed = await passwords.hash(PASSWORD)
    for mobile in mobiles:
        await users.add(NewUser(mobile, hashed, None, None, datetime.now(UTC)))
    await database.close()
    passwords.close()
