"""A count of requests or messages in progress, which a drain waits for."""


class InFlight:
    """Counts requests or messages in progress; call it to get the count."""

    def __init__(self) -> None:
        self._count = 0

    def enter(self) -> None:
        """Increment the count."""
        self._count += 1

    def leave(self) -> None:
        """Decrement the count."""
        self._count -= 1

    def __call__(self) -> int:
        """Return the count."""
        return self._count
