"""When a message that was not sent is tried again.

`DeliveryService` asks for the delay, `MessagePublisher` puts the message into the wait queue of that delay,
and the broker returns it to the work queue. A message is retried until its code expires.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The delays between the attempts of a message.

    Attributes:
        delays: seconds, ascending; each has a wait queue.
        choose: picks one of two delays, at random so that messages that failed together spread out.
    """

    delays: tuple[float, ...]
    choose: Callable[[Sequence[float]], float] = random.choice

    @property
    def shortest(self) -> float:
        """The first delay."""
        return self.delays[0]

    def delay(self, attempts: int, seconds_left: float = math.inf, *, urgent: bool = False) -> float:
        """Return the seconds to wait before the next attempt.

        That is the delay of this number of attempts or the one after it; the shortest if the retry is
        urgent, or if the message would expire meanwhile.

        Args:
            attempts: attempts so far.
            seconds_left: until the message expires.
            urgent: whether to retry as soon as possible.
        """
        if urgent:
            return self.shortest
        index = min(max(attempts, 1), len(self.delays)) - 1
        delay = self.choose(self.delays[index : index + 2])
        return delay if delay < seconds_left else self.shortest
