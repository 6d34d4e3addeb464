"""The clock, which tests replace: everything that needs the time is given one."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)
