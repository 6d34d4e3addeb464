"""The error that ends a one-machine run."""

from pathlib import Path

TAIL_LINES = 15


class LocalError(Exception):
    """What stops the run, in words for the person at the terminal."""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, indented to stand under a message."""
    if not log.exists():
        return "  (no log)"
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in last) + f"\n  (all of it: {log})"
