"""How long a message waits for its next attempt."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps of waiting, in seconds, ascending; each is a queue of its own.

    Attributes:
        steps: the delays.
        choose: picks one; at random, so that what failed together does not come back together.
    """

    steps: tuple[float, ...]
    choose: Callable[[Sequence[float]], float] = random.choice

    @property
    def shortest(self) -> float:
        """The first step."""
        return self.steps[0]

    def after(self, attempts: int) -> float:
        """Return the delay after so many attempts: the step of that number, or the one above it."""
        last = len(self.steps) - 1
        step = min(max(attempts, 1) - 1, last)
        return self.choose(self.steps[step : step + 2])
