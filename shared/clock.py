"""The clock. Code that needs the time takes one as an argument, so that tests can replace it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)
