"""The programs of this machine that a run needs, and their installation on Debian."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.local.errors import LocalError

# Debian's server programs lie outside an ordinary user's PATH.
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/sbin")
RABBITMQ_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)
# Each entry of a tuple is one needed program, under any of its names.
NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "mariadb": (("mariadbd", "mysqld"), ("mariadb-install-db",)),
    "redis": (("redis-server", "valkey-server"),),
    "rabbitmq": (("erl",), ("epmd",)),
    "chromium": (("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),),
    "nginx": (("nginx",),),
    "wrk": (("wrk",),),
    "prometheus": (("prometheus",), ("promtool",)),
}
PACKAGES = {
    "mariadb": "mariadb-server",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
    "chromium": "chromium",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "prometheus": "prometheus",
}
SERVERS = ("mariadb", "redis", "rabbitmq")
SERVICE_STARTERS = ("invoke-rc.d", "deb-systemd-invoke")

Report = Callable[[str], None]


def find(*names: str) -> Path | None:
    """Return the first program found under any of `names`."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *EXTRA_PATH))
    found = (shutil.which(name, path=path) for name in names)
    return next((Path(program) for program in found if program), None)


def require(*names: str) -> Path:
    """Return the program, which the caller knows to be needed."""
    program = find(*names)
    if program is None:
        raise LocalError(f"{names[0]} is not installed")
    return program


def rabbitmq_script() -> Path | None:
    """Return RabbitMQ's own start script; the wrapper in Debian's PATH refuses ordinary users."""
    folders = [*map(Path, RABBITMQ_FOLDERS)]
    folders += sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True)
    scripts = (folder / "rabbitmq-server" for folder in folders)
    return next((script for script in scripts if os.access(script, os.X_OK)), None)


def present(name: str) -> bool:
    """Tell whether the machine has all programs of `name`."""
    if name == "rabbitmq" and rabbitmq_script() is None:
        return False
    return all(find(*names) for names in NEEDED[name])


def can_install() -> bool:
    """Tell whether packages may be installed: root on Debian or its kin."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and bool(find("apt-get"))


def ensure_programs(*names: str, report: Report = print) -> None:
    """Have the programs of `names` on this machine, the three servers where none is given.

    Installs the missing ones on Debian as root; otherwise `LocalError` names what to install.
    """
    missing = [name for name in names or SERVERS if not present(name)]
    if missing and can_install():
        install(missing, report)
        missing = [name for name in missing if not present(name)]
    if missing:
        raise LocalError(advice(missing))


def advice(missing: Iterable[str]) -> str:
    """Return the line that says what to install."""
    packages = " ".join(PACKAGES[name] for name in missing)
    return f"missing: {packages}; on Debian or Ubuntu: sudo apt-get install {packages}"


def install(names: Iterable[str], report: Report = print) -> None:
    """Install packages without starting the machine's own services."""
    packages = [PACKAGES[name] for name in names]
    report(f"installing {' '.join(packages)} with apt-get")
    with tempfile.TemporaryDirectory() as folder:
        _apt_get("update", "-q")
        # Packages start their service with these programs, which stand-ins hide meanwhile.
        for starter in SERVICE_STARTERS:
            stand_in = Path(folder, starter)
            stand_in.write_text("#!/bin/sh\nexit 0\n")
            stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
        path = f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        options = ("-o", f"DPkg::Path={path}", "--no-install-recommends", "-q", "-y")
        _apt_get(*options, "install", *packages)


def _apt_get(*arguments: str) -> None:
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
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-10:])
        raise LocalError(f"apt-get {arguments[0]} failed:\n{last}")
