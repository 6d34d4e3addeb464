"""The one-machine run: start everything, supervise it, stop it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from rich.console import Console

from deploy.local import environment, summary
from deploy.local.environment import Settings
from deploy.local.errors import LocalError
from deploy.local.files import hold_lock, write_private
from deploy.local.ports import claim
from deploy.local.processes import shell_command_tied_to_parent
from deploy.local.provisioning import ProvisionedServers, provision
from deploy.local.supervisor import Supervisor, supervise
from shared import running_system
from shared.running_system import LOCK

Report = Callable[[str], None]
# The port and path of a readiness probe.
Probe = tuple[int, str]

MODULES = {
    "simulator": ("deploy.local.simulator",),
    "gateway": ("services.gateway", "serve"),
    "auth": ("services.auth", "serve"),
    "sms": ("services.sms", "serve"),
}
# The gateway uses auth and the worker, and the worker the simulator, which ends last.
STOP_ORDER = (("gateway",), ("auth", "sms"))
READY_TIMEOUT = 90.0
OK = 200


def up(root: Path, console: Console) -> None:
    """Run the whole system until Ctrl-C or SIGTERM."""
    run = running_system.run_folder()

    def report(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    settings = environment.user_settings(root)
    stop_on_signals()
    with hold_lock(run / LOCK), ExitStack() as closing:
        (run / "tmp").mkdir(mode=0o700, exist_ok=True)
        (run / running_system.COMMANDS).unlink(missing_ok=True)  # of a run that was killed
        ports = environment.choose_ports(settings, take=claim)
        servers = provision(root, run, settings, closing, report)
        service_settings = environment.service_settings(settings, ports, servers.urls, run)
        environments = {
            name: environment.for_process(name, service_settings, servers.own_urls.get(name))
            for name in MODULES
        }
        prepare(root, environments["auth"], report)
        leave_for_commands(run, service_settings, servers, closing)
        # Returns once the services have ended; further signals do not interrupt the servers' stop.
        failure = supervise(
            commands(ports),
            {},
            str(root),
            watch=lambda supervisor: watch(supervisor, console, ports, servers, run),
            own_environments=environments,
            stop_order=STOP_ORDER,
        )
        report("stopping the servers")
    if failure:
        raise LocalError(failure)


def leave_for_commands(
    run: Path, settings: Settings, servers: ProvisionedServers, closing: ExitStack
) -> None:
    """Write the file by which the services' commands find this run; it is removed by `closing`."""
    variables = {
        name: environment.for_commands(name, settings, servers.own_urls.get(name))
        for name in MODULES
        if name != "simulator"
    }
    file = run / running_system.COMMANDS
    closing.callback(file.unlink, missing_ok=True)
    write_private(file, json.dumps(variables))


def stop_on_signals() -> None:
    """Make SIGTERM and a closed terminal end the run as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGTERM)

    # SIGINT too: shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # started without nohup
        signal.signal(signal.SIGHUP, pass_on)


def commands(ports: Settings) -> dict[str, str]:
    """Return the shell command of each service."""
    return {
        name: shell_command_tied_to_parent([sys.executable, "-m", *module])
        for name, module in MODULES.items()
        if name != "simulator" or "SIMULATOR_PORT" in ports
    }


def prepare(root: Path, settings: Settings, report: Report) -> None:
    """Migrate the database and create a signing key if there is none."""
    began = time.monotonic()
    _auth(root, settings, "migrate")
    if _auth(root, settings, "key", "create", "--if-none"):
        report(f"signing key made in {settings['SIGNING_KEYS_DIR']}")
    report(f"database migrated, {time.monotonic() - began:.1f} s")


def _auth(root: Path, settings: Settings, *arguments: str) -> str:
    command = [sys.executable, "-m", "services.auth", *arguments]
    done = subprocess.run(command, cwd=root, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-10:])
        raise LocalError(f"services.auth {' '.join(arguments)} failed:\n{last}")
    return done.stdout


def watch(
    supervisor: Supervisor, console: Console, ports: Settings, servers: ProvisionedServers, run: Path
) -> None:
    """Print the summary once all services are ready, then end the run if a private server exits."""
    late = wait_ready(probes(ports), lambda: supervisor.stopping)
    if supervisor.stopping:
        return
    if late:
        supervisor.fail(f"not ready after {READY_TIMEOUT:.0f} s: {', '.join(late)}")
        return
    summary.show(console, ports, servers, run)
    while not supervisor.stopping:
        exited = [server for server in servers.private if not server.running]
        if exited:
            supervisor.fail(f"{exited[0].name} ended by itself; see {exited[0].log}")
        time.sleep(0.5)


def probes(ports: Settings) -> dict[str, Probe]:
    """Return the readiness probe of each service."""
    found = {
        "gateway": (int(ports["GATEWAY_OPS_PORT"]), "/readyz"),
        "auth": (int(ports["AUTH_PORT"]), "/readyz"),
        "sms": (int(ports["SMS_PORT"]), "/readyz"),
    }
    if "SIMULATOR_PORT" in ports:
        found["simulator"] = (int(ports["SIMULATOR_PORT"]), "/healthz")
    return found


def wait_ready(
    wanted: Mapping[str, Probe], cancelled: Callable[[], bool], timeout: float = READY_TIMEOUT
) -> list[str]:
    """Wait until all services are ready; return the names of those that are not in time."""
    deadline = time.monotonic() + timeout
    waiting = list(wanted)
    while waiting and not cancelled() and time.monotonic() < deadline:
        waiting = [name for name in waiting if not _is_ready(*wanted[name])]
        if waiting:
            time.sleep(0.1)
    return waiting


def _is_ready(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
