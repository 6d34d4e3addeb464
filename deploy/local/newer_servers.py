"""Servers of another Debian release than this machine's, for tests: no container, and nothing is installed.

The packages come from the mirror that apt is set up with, are verified with Debian's keys, and are unpacked
into a folder. A program of them runs in a mount namespace of its own, in which the unpacked `/usr` is in the
place of this machine's; everything else, processes, network and files, is the same. That takes root.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import LocalError

# By release: the next stable one, and the one after that, which has MySQL in MariaDB's place.
PACKAGES = {
    "trixie": ("mariadb-server", "rabbitmq-server", "valkey-server"),
    "sid": ("mysql-server", "rabbitmq-server", "valkey-server"),
}
# What the servers' scripts use; an unpacked package does not bring it as an installed one does.
TOOLS = (
    "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "hostname", "libc-bin", "mawk",
    "mount", "ncurses-base", "procps", "sed", "tar", "util-linux",
)  # fmt: skip
# Names in the folder of programs, and which program of the release each is, if it has it.
PROGRAMS = {
    "mariadbd": "/usr/sbin/mariadbd",
    "mysqld": "/usr/sbin/mysqld",
    "mariadb-install-db": "/usr/bin/mariadb-install-db",
    "valkey-server": "/usr/bin/valkey-server",
    "erl": "/usr/bin/erl",
    "epmd": "/usr/bin/epmd",
    "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "rabbitmqctl": "/usr/lib/rabbitmq/bin/rabbitmqctl",
    "rabbitmq-diagnostics": "/usr/lib/rabbitmq/bin/rabbitmq-diagnostics",
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# The shell is this machine's and is running before its folder is hidden.
WRAPPER = """#!/bin/sh
exec unshare --mount -- /bin/sh -c 'mount --bind "$0" /usr && exec "$@"' '{usr}' {program} "$@"
"""

Report = Callable[[str], None]


def unpack(release: str, folder: Path, report: Report = print) -> Path:
    """Unpack the servers of a release into `folder`, once; return the folder of their programs.

    Raises:
        LocalError: this is not root on Debian, or apt failed.
    """
    own = folder / release
    programs, complete = own / "bin", own / "complete"
    if complete.exists():
        return programs
    if release not in PACKAGES:
        raise LocalError(f"no release {release}; there are {', '.join(PACKAGES)}")
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists() or not shutil.which("unshare"):
        raise LocalError("servers of another Debian release need Debian, and root")
    shutil.rmtree(own, ignore_errors=True)
    report(f"fetching the servers of Debian {release}")
    archives = _download(release, own)
    for archive in archives:
        _run("dpkg-deb", "--extract", str(archive), str(own / "root"))
        archive.unlink()
    _link_alternatives(own / "root" / "usr" / "bin")
    _write_wrappers(own / "root" / "usr", programs)
    complete.touch()
    return programs


def _download(release: str, own: Path) -> list[Path]:
    """Download the packages and all that they depend on; apt's lists and locks are in `own`, too."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (own / name).mkdir(parents=True)
    (own / "status").touch()  # as if nothing were installed
    (own / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {release} main\n")
    settings = {
        "Dir::Etc::sourcelist": own / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": own / "state",
        "Dir::State::status": own / "status",
        "Dir::Cache": own / "cache",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    _run("apt-get", *options, "--quiet", "update")
    _run("apt-get", *options, "--yes", "--quiet", "--download-only", "install", *TOOLS, *PACKAGES[release])
    return sorted((own / "cache" / "archives").glob("*.deb"))


def _mirror() -> str:
    """Return the URL of the mirror from which this machine installs Debian's packages."""
    line = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    targets = _run("apt-get", "indextargets", "--format", line, "Created-By: Packages")
    for target in targets.splitlines():
        if target.startswith("Debian|Debian|"):
            return target.rpartition("|")[2]
    raise LocalError("apt is set up with no mirror of Debian, or `apt-get update` has never run")


def _link_alternatives(folder: Path) -> None:
    """Make the links that installed packages make."""
    awk = folder / "awk"
    if not awk.exists():
        awk.symlink_to("mawk")


def _write_wrappers(usr: Path, programs: Path) -> None:
    programs.mkdir(exist_ok=True)
    for name, program in PROGRAMS.items():
        if not os.path.lexists(usr / program.removeprefix("/usr/")):
            continue
        wrapper = programs / name
        wrapper.write_text(WRAPPER.format(usr=str(usr.absolute()).replace("'", "'\\''"), program=program))
        wrapper.chmod(0o755)


def _run(*command: str) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-10:])
        raise LocalError(f"{command[0]} failed:\n{last}")
    return done.stdout
