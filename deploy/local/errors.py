"""The error that ends a one-machine run."""

from pathlib import Path

TAIL_LINES = 15


class LocalError(Exception):
    """The run cannot start or continue; the message is shown to the user."""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, indented."""
    if not log.exists():
        return "  (no log)"
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in last) + f"\n  (all of it: {log})"
