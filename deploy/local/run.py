"""The one-machine run, from nothing to a stopped system."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console

from deploy.local import environment, readiness, summary
from deploy.local.environment import Settings
from deploy.local.errors import LocalError
from deploy.local.files import only_one
from deploy.local.processes import tied_to_shells_parent
from deploy.local.provisioning import Supply, provide
from deploy.local.supervisor import Supervisor, supervise

Report = Callable[[str], None]

MODULES = {
    "simulator": ("deploy.local.simulator",),
    "gateway": ("services.gateway", "serve"),
    "auth": ("services.auth", "serve"),
    "sms": ("services.sms", "serve"),
}
LOCK = ".lock"


def up(root: Path, console: Console) -> None:
    """Run the whole system until Ctrl-C or SIGTERM."""
    run = root / ".run"

    def report(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    settings = environment.user_settings(root)
    stop_on_signals()
    with only_one(run / LOCK), ExitStack() as closing:
        ports = environment.choose_ports(settings)
        supply = provide(root, run, settings, closing, report)
        complete = environment.complete(settings, ports, supply.urls, run)
        prepare(root, complete, report)
        # Stays in force while the servers stop: by then the user has been heard.
        failure = supervise(
            commands(ports),
            complete,
            str(root),
            watch=lambda supervisor: watch(supervisor, console, ports, supply, run),
        )
        report("stopping the servers")
    if failure:
        raise LocalError(failure)


def stop_on_signals() -> None:
    """Have a closed terminal and SIGTERM end the run as Ctrl-C does, from the first moment on."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGTERM)

    # SIGINT too: a shell's background job starts with it ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means to go on
        signal.signal(signal.SIGHUP, pass_on)


def commands(ports: Settings) -> dict[str, str]:
    """Return the shell command of each service."""
    return {
        name: tied_to_shells_parent([sys.executable, "-m", *module])
        for name, module in MODULES.items()
        if name != "simulator" or "SIMULATOR_PORT" in ports
    }


def prepare(root: Path, settings: Settings, report: Report) -> None:
    """Bring the database up to date and have a key to sign with."""
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


def watch(supervisor: Supervisor, console: Console, ports: Settings, supply: Supply, run: Path) -> None:
    """Tell when everything is ready, then have the run end if a private server does."""
    late = readiness.unready(readiness.probes(ports), lambda: supervisor.stopping)
    if supervisor.stopping:
        return
    if late:
        supervisor.fail(f"not ready after {readiness.PATIENCE:.0f} s: {', '.join(late)}")
        return
    summary.show(console, ports, supply, run)
    while not supervisor.stopping:
        fallen = [server for server in supply.private if not server.running]
        if fallen:
            supervisor.fail(f"{fallen[0].name} ended by itself; see {fallen[0].log}")
        time.sleep(0.5)
