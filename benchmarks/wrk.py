"""Load by wrk: one thread, 32 keep-alive connections, one POST at a time on each."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import LOAD_CORE, pinned
from deploy.local.errors import LocalError
from deploy.local.programs import require

SCRIPT = Path(__file__).with_name("post.lua")
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Load:
    """A measurement; latencies in seconds."""

    requests_per_second: float
    p50: float
    p99: float


def post(url: str, body: str, headers: Mapping[str, str], seconds: int, script: Path = SCRIPT) -> Load:
    """Send POST requests.

    Args:
        url: the target.
        body: the argument of the script; for the default script the body of every request.
        headers: of every request.
        seconds: the duration.
        script: creates the requests.

    Raises:
        LocalError: a response was not 2xx.
    """
    given = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", str(script)]
    command = [str(require("wrk")), *options, *given, url, "--", body]
    done = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise LocalError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    seen = json.loads(lines[-1])
    if seen["errors"]:
        raise LocalError(f"{url}: {seen['errors']} of {seen['requests']} responses were not 2xx")
    return Load(seen["requests"] / seen["us"] * 1e6, seen["p50"] / 1e6, seen["p99"] / 1e6)
