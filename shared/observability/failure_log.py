"""Log lines about recurring work that fails."""

import time

import structlog

# The services of a system start at the same time, in any order.
START_SECONDS = 10.0

log = structlog.get_logger()


class FailureLog:
    """Logs that recurring work fails, and that it succeeds again: a line for each change, none per attempt.

    Until the first success, failures are expected for the time of a start, and are a warning after that.

    Args:
        failing: name of the event that it fails, a warning.
        recovered: name of the event that it succeeds again.
        start_seconds: how long a start may take.
    """

    def __init__(self, failing: str, recovered: str, start_seconds: float = START_SECONDS) -> None:
        self._failing = failing
        self._recovered = recovered
        self._expected_until = time.monotonic() + start_seconds
        self._logged = False

    def failed(self, **members: object) -> None:
        """Write a line unless the failure is known already, or belongs to the start."""
        if self._logged or time.monotonic() < self._expected_until:
            return
        self._logged = True
        log.warning(self._failing, **members)

    def succeeded(self) -> None:
        """Write a line if a failure was logged."""
        self._expected_until = 0.0
        if self._logged:
            self._logged = False
            log.info(self._recovered)
