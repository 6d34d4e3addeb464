"""Where other people's clients of Yunpian are installed: apart from the project's own packages, and pinned.

The folders are named by the content of their lock files and kept between runs.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deploy.local.programs import ensure_programs

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
REQUIREMENTS = ROOT / "requirements" / "vendors.txt"
NPM_FILES = (HERE / "package.json", HERE / "package-lock.json")
TOOLS = ROOT / ".run" / "tools"


@cache
def python_packages() -> Path:
    """Return a folder with the Python SDK and what it needs."""

    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pinned = ["--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS)]
        _run([*pip, *pinned, "--target", str(folder)], ROOT)

    return _installed("vendors-python", (REQUIREMENTS,), install)


@cache
def node_packages() -> Path:
    """Return a folder with the npm packages in `node_modules`."""

    ensure_programs("node")

    def install(folder: Path) -> None:
        folder.mkdir()
        for file in NPM_FILES:
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)

    return _installed("vendors-node", NPM_FILES, install)


def _installed(name: str, locks: tuple[Path, ...], install: Callable[[Path], None]) -> Path:
    version = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:12]
    folder = TOOLS / f"{name}-{version}"
    with _locked(name):
        if not folder.exists():
            unfinished = folder.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            install(unfinished)
            unfinished.rename(folder)
    return folder


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Let one test run at a time install."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
