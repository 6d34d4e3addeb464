"""The programs that a run needs, and their installation on Debian."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.local.errors import LocalError

# Names a folder whose programs are used instead of this machine's: servers of another version.
OWN_PROGRAMS = "SERVER_PROGRAMS"
# Debian's server programs are not in the PATH of ordinary users.
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/sbin")
RABBITMQ_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)
# Each entry of a tuple is one program, with its alternative names.
NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "mariadb": (("mariadbd", "mysqld"), ("mariadb-install-db", "mysqld")),
    "redis": (("redis-server", "valkey-server"),),
    "rabbitmq": (("erl",), ("epmd",)),
    "chromium": (("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),),
    "nginx": (("nginx",),),
    "wrk": (("wrk",),),
    "prometheus": (("prometheus",), ("promtool",)),
    "node": (("node",), ("npm",)),
}
PACKAGES = {
    "mariadb": "mariadb-server",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
    "chromium": "chromium",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "prometheus": "prometheus",
    "node": "npm",
}
SERVERS = ("mariadb", "redis", "rabbitmq")
LOCK_SECONDS = 600  # to wait for another apt-get
SERVICE_STARTERS = ("invoke-rc.d", "deb-systemd-invoke")

Report = Callable[[str], None]


def find(*names: str) -> Path | None:
    """Return the first program found with one of `names`, or None."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *EXTRA_PATH))
    places = (os.environ[OWN_PROGRAMS], path) if os.environ.get(OWN_PROGRAMS) else (path,)
    found = (shutil.which(name, path=place) for place in places for name in names)
    return next((Path(program) for program in found if program), None)


def require(*names: str) -> Path:
    """Return the program.

    Raises:
        LocalError: it is not installed.
    """
    program = find(*names)
    if program is None:
        raise LocalError(f"{names[0]} is not installed")
    return program


def rabbitmq_script() -> Path | None:
    """Return RabbitMQ's start script; the wrapper in Debian's PATH only works for root."""
    own = os.environ.get(OWN_PROGRAMS)
    folders = [*([Path(own)] if own else ()), *map(Path, RABBITMQ_FOLDERS)]
    folders += sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True)
    scripts = (folder / "rabbitmq-server" for folder in folders)
    return next((script for script in scripts if os.access(script, os.X_OK)), None)


def present(name: str) -> bool:
    """Return whether all programs of `name` are installed."""
    if name == "rabbitmq" and rabbitmq_script() is None:
        return False
    return all(find(*names) for names in NEEDED[name])


def can_install() -> bool:
    """Return whether packages can be installed: as root on Debian or a derivative."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and bool(find("apt-get"))


def ensure_programs(*names: str, report: Report = print) -> None:
    """Make sure that the programs of `names` are installed, by default those of the three servers.

    Missing ones are installed as root on Debian.

    Raises:
        LocalError: programs are missing; the message says what to install.
    """
    missing = [name for name in names or SERVERS if not present(name)]
    if missing and can_install():
        install(missing, report)
        missing = [name for name in missing if not present(name)]
    if missing:
        raise LocalError(advice(missing))


def advice(missing: Iterable[str]) -> str:
    """Return a line that says what to install."""
    packages = " ".join(PACKAGES[name] for name in missing)
    return f"missing: {packages}; on Debian or Ubuntu: sudo apt-get install {packages}"


def install(names: Iterable[str], report: Report = print) -> None:
    """Install packages without starting their services."""
    packages = [PACKAGES[name] for name in names]
    report(f"installing {' '.join(packages)} with apt-get")
    with tempfile.TemporaryDirectory() as folder:
        _apt_get("update", "-q", may_fail=True)  # another apt-get may be updating the lists
        # Packages start their services with these programs, which are replaced during the installation.
        for starter in SERVICE_STARTERS:
            replacement = Path(folder, starter)
            replacement.write_text("#!/bin/sh\nexit 0\n")
            replacement.chmod(replacement.stat().st_mode | stat.S_IXUSR)
        path = f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings = (f"DPkg::Path={path}", f"DPkg::Lock::Timeout={LOCK_SECONDS}")
        options = (*(f"--option={one}" for one in settings), "--no-install-recommends", "-q", "-y")
        _apt_get(*options, "install", *packages)


def _apt_get(*arguments: str, may_fail: bool = False) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode and not may_fail:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-10:])
        raise LocalError(f"apt-get {arguments[0]} failed:\n{last}")
