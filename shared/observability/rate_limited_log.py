"""Log lines about what strangers can cause as often as they like."""

import time

import structlog

_INTERVAL = 10.0

log = structlog.get_logger()


class RateLimitedLog:
    """Writes at most one warning in ten seconds, with the number of those that were left out.

    Args:
        event: name of the event.
        quiet_seconds: how long the first one waits, unless `expect_none` is called before.
    """

    def __init__(self, event: str, quiet_seconds: float = 0.0) -> None:
        self._event = event
        self._next = time.monotonic() + quiet_seconds
        self._starting = quiet_seconds > 0
        self._left_out = 0

    def expect_none(self) -> None:
        """End the quiet time at the beginning: from now on every event is a surprise."""
        if self._starting:
            self._starting = False
            self._next, self._left_out = 0.0, 0

    def warning(self, **members: object) -> None:
        """Write a line, or count it."""
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        self._next, self._starting = now + _INTERVAL, False
        log.warning(self._event, left_out=self._left_out, **members)
        self._left_out = 0
