"""The machine, and the versions of the libraries."""

import os
import platform
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

LOAD_CORE, SERVER_CORE = 0, -1  # the first and the last
STATISTICS = Path("/proc/stat")
LIBRARIES = ("tornado", "aiohttp", "uvloop", "httptools", "structlog", "bcrypt", "peewee-async", "aiomysql")


def cores() -> list[int]:
    """Return the cores that this process can use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pinned(core: int, command: list[str]) -> list[str]:
    """Return `command` pinned to a core, if there is more than one."""
    taskset = shutil.which("taskset")
    if taskset is None or len(cores()) == 1:
        return command
    return [taskset, "--cpu-list", str(cores()[core]), *command]


def description() -> str:
    """Return a line that describes the machine."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {len(cores())} cores, {system}, Python {platform.python_version()}"


def library_versions() -> str:
    """Return the versions of the libraries that affect the results."""
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    statistics = Path(f"/proc/{pid}/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout) * 1024 / 1e6


def busy_percent(seconds: float = 1.0) -> float | None:
    """Return the CPU usage of the machine in percent, None if unknown."""
    if not STATISTICS.exists():
        return None
    idle, total = _cpu_ticks()
    time.sleep(seconds)
    idle_later, total_later = _cpu_ticks()
    return 100 * (1 - (idle_later - idle) / max(1, total_later - total))


def _cpu_ticks() -> tuple[int, int]:
    ticks = [int(count) for count in STATISTICS.read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
