"""The services as processes on private servers."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.environment import RELAXED_LIMITS
from deploy.local.ports import free_port, free_ports
from deploy.local.servers import Servers

ROOT = Path(__file__).parents[2]
API_KEY = "0123456789abcdef0123456789abcdef"
CODE_SECRET = "a secret for tests, and for nothing else"
MESSAGE_SECRET = "another secret for tests and for nothing else"
CALLBACK_SECRET = "a-secret-for-tests-and-for-nothing-else"
GATEWAY_SECRET = "a-secret-of-the-gateway-for-tests-alone"
# These secrets are published in the repository.
DEVELOPMENT = {"ALLOW_DEVELOPMENT_SECRETS": "true"}
ORIGIN = "http://localhost:3000"
BROWSER_ORIGIN = f"http://localhost:{free_port()}"
CODE_IN_TEXT = re.compile(r"[0-9]{6}")
_PORTS = ("gateway", "ops", "auth", "sms", "simulator")


class Process:
    """The process of a service, with a log file."""

    def __init__(
        self, module: str, command: list[str], env: Mapping[str, str], log: Path, probe: str
    ) -> None:
        self.module = module
        self.log = log
        self.env = dict(env)
        self.probe = probe
        self._command = [sys.executable, "-m", module, *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=os.environ | DEVELOPMENT | self.env, stdout=output, stderr=output
            )
        if wait:
            self.wait_for(200)

    def wait_for(self, status: int, seconds: float = 20) -> None:
        """Wait until the probe responds with a status; 0 stands for no response."""
        deadline = time.monotonic() + seconds
        while (seen := http_status(self.probe)) != status:
            if time.monotonic() > deadline or (status and self.exit_status is not None):
                raise AssertionError(f"{self.probe}: {seen}, not {status}\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    @property
    def exit_status(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(seconds)


@dataclass
class System:
    """The three services and the simulator."""

    gateway: Process
    auth: Process
    sms: Process
    simulator: Process
    url: str
    simulator_url: str
    env: dict[str, str]

    @property
    def all(self) -> list[Process]:
        return [self.simulator, self.auth, self.sms, self.gateway]

    def start(self) -> None:
        for process in self.all:
            process.start(wait=False)
        for process in self.all:
            process.wait_for(200)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run the system for the block's time."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> dict[str, int]:
        return {process.module: process.stop() for process in reversed(self.all)}

    def logs(self) -> str:
        return "".join(process.log.read_text() for process in self.all)


def _environment(servers: Servers, folder: Path) -> dict[str, str]:
    ports = free_ports(_PORTS)
    return {
        "REDIS_URL": servers.redis.url,
        "AMQP_URL": servers.rabbitmq.url,
        "GATEWAY_PORT": str(ports["gateway"]),
        "GATEWAY_OPS_PORT": str(ports["ops"]),
        "AUTH_PORT": str(ports["auth"]),
        "AUTH_URL": f"http://127.0.0.1:{ports['auth']}",
        # A service without authentication: its requests have passed the gateway's check.
        "GATEWAY_ROUTES": f"/platform=http://127.0.0.1:{ports['simulator']}",
        "SMS_PORT": str(ports["sms"]),
        "SMS_URL": f"http://127.0.0.1:{ports['sms']}",
        "SIMULATOR_PORT": str(ports["simulator"]),
        "YUNPIAN_BASE_URL": f"http://127.0.0.1:{ports['simulator']}",
        "YUNPIAN_API_KEY": API_KEY,
        "YUNPIAN_CALLBACK_SECRET": CALLBACK_SECRET,
        "SIMULATOR_CALLBACK_URL": f"http://127.0.0.1:{ports['gateway']}/callbacks/yunpian/{CALLBACK_SECRET}/",
        # After the end of any test: tests that need a report script it with `Phone.outcome`.
        "SIMULATOR_REPORT_DELAY": "3600",
        "SMS_SIGNATURE": "Dialpass",
        "VOICE_HOURS": "00:00-24:00",  # tests run at any time of day
        "CODE_SECRET": CODE_SECRET,
        "MESSAGE_SECRET": MESSAGE_SECRET,
        "GATEWAY_SECRET": GATEWAY_SECRET,
        "SIGNING_KEYS_DIR": str(folder / "keys"),
        "CORS_ORIGINS": f"{ORIGIN},{BROWSER_ORIGIN}",
        "BCRYPT_ROUNDS": "4",
        "DRAIN_DELAY": "0",
        "SMS_RETRY_DELAYS": "0.5,1,2",
        **RELAXED_LIMITS,
        # Load tests have many failed sign-ins from one address.
        "SIGN_IN_LIMIT_ADDRESS": "1000000/hour",
        "SIGN_IN_LIMIT_NETWORK": "1000000/hour",
    }


def make_system(servers: Servers, mysql_url: str, folder: Path, **settings: str) -> System:
    """Return a system on free ports, not started; `settings` are environment variables."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**_environment(servers, folder), "MYSQL_URL": mysql_url, **settings}
    run("services.auth", "key", "create", env=env)

    def process(module: str, command: list[str], port: str, path: str) -> Process:
        probe = f"http://127.0.0.1:{env[port]}{path}"
        return Process(module, command, env, folder / f"{module}.log", probe)

    return System(
        gateway=process("services.gateway", ["serve"], "GATEWAY_OPS_PORT", "/readyz"),
        auth=process("services.auth", ["serve"], "AUTH_PORT", "/readyz"),
        sms=process("services.sms", ["serve"], "SMS_PORT", "/readyz"),
        simulator=process("deploy.local.simulator", [], "SIMULATOR_PORT", "/healthz"),
        url=f"http://127.0.0.1:{env['GATEWAY_PORT']}",
        simulator_url=env["YUNPIAN_BASE_URL"],
        env=env,
    )


def run(module: str, *command: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of a service and assert that it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", module, *command],
        cwd=ROOT, env=os.environ | DEVELOPMENT | dict(env), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def http_status(url: str) -> int:
    """Return the status of a GET, 0 without a response."""
    try:
        with urllib.request.urlopen(url, timeout=3) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
