"""Counting the work that is being done, so that a drain knows when it is over."""


class InFlight:
    """A count of requests or messages in work; read it by calling."""

    def __init__(self) -> None:
        self._count = 0

    def enter(self) -> None:
        """Count one more."""
        self._count += 1

    def leave(self) -> None:
        """Count one less."""
        self._count -= 1

    def __call__(self) -> int:
        """Return the count."""
        return self._count
