"""The deadline of a request to auth, beyond which its gateway has answered the client with 504.

A service that was stopped, or whose event loop hangs, finds requests in its sockets that were given up long
ago. To carry them out would undo what clients have done since. The header says which gateway process has sent
the request, when, by the monotonic clock of that process, and how long it waits:

    X-Dialpass-Deadline: 5f2c8e9a01b4d7c3 81235.125 10

The two clocks have nothing to do with each other. But the difference between them is constant, except for a
small drift, and the quickest of all requests of a gateway tells what it is, within the time that a request
takes. Neither a wrong time of day nor a correction of it makes a request late.
"""

import re
import secrets
import select
import time
from collections import OrderedDict
from collections.abc import Callable

from tornado.iostream import IOStream

HEADER = "X-Dialpass-Deadline"

_VALUE = re.compile(r"([0-9a-f]{16}) ([0-9]{1,12}\.[0-9]{3}) ([0-9]{1,5}(?:\.[0-9]{1,6})?)", re.ASCII)
# How much two clocks may drift apart, in seconds a second; NTP corrects by half of this at most, each.
_DRIFT = 0.001
# For the way of the answer: what has less time left is late.
_MARGIN_SECONDS = 0.1
# Processes of gateways that are remembered.
_MAX_SENDERS = 1024


class DeadlineSender:
    """Makes the header lines of one gateway process."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)

    def line(self, seconds: float) -> str:
        """Return the header line of a request that is sent now and waited for so long."""
        return f"{HEADER}: {self._name} {time.monotonic():.3f} {seconds:g}\r\n"


class DeadlineReader:
    """Tells how long the gateways of requests still wait.

    Args:
        now: the monotonic clock.
        on_late: called for each request that comes too late.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, on_late: Callable[[], None] = lambda: None
    ) -> None:
        self._now = now
        self._on_late = on_late
        # The difference between our clock and a sender's, and when it was last corrected.
        self._differences: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def remaining(self, value: str | None, given_up: Callable[[], bool]) -> float | None:
        """Return the seconds until the gateway of a request gives it up, less the way of the answer.

        Args:
            value: the header, of a request that is a gateway's.
            given_up: tells whether the gateway has closed the connection, as it does when it gives up. While
                it has not, the request is not late: then its clock has stood still, because its machine has.

        Returns:
            0 if it has given up already; None if that is unknown, because the header is missing or malformed.
        """
        parts = _VALUE.fullmatch(value or "")
        if parts is None:
            return None
        sender, sent_at, seconds = parts[1], float(parts[2]), float(parts[3])
        now = self._now()
        difference = least = now - sent_at
        if known := self._differences.pop(sender, None):
            least = min(difference, known[0] + (now - known[1]) * _DRIFT)
        late = difference - least >= seconds - _MARGIN_SECONDS
        if late and not given_up():
            least, late = difference, False
        if len(self._differences) >= _MAX_SENDERS:
            self._differences.popitem(last=False)
        self._differences[sender] = least, now
        if late:
            self._on_late()
            return 0.0
        return seconds - _MARGIN_SECONDS - (difference - least)


def has_been_closed(stream: IOStream | None) -> bool:
    """Return whether the peer has closed its connection, whether or not all that it sent has been read."""
    if stream is None or stream.closed():
        return True
    closed = select.poll()
    closed.register(stream.socket, select.POLLRDHUP)
    return bool(closed.poll(0))
