"""Log lines about what strangers can cause as often as they like."""

import time

import structlog

_INTERVAL = 10.0

log = structlog.get_logger()


class RateLimitedLog:
    """Writes at most one warning in ten seconds, with the number of those that were left out.

    Args:
        event: name of the event.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._next = 0.0
        self._left_out = 0

    def warning(self, **members: object) -> None:
        """Write a line, or count it."""
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        self._next = now + _INTERVAL
        log.warning(self._event, left_out=self._left_out, **members)
        self._left_out = 0
