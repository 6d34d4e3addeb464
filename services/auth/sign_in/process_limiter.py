"""The limits of password checks while Redis is down: those of one process, in memory."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from services.auth.limits import Limit
from shared.networks import canonical, host_of, network_of

# Where strangers and owners cannot be told apart, a lower limit would lock out owners.
_LEAST = 10
# An account from everywhere, in multiples of its limit from one address.
_EVERYWHERE = 10
_MAX_SUBJECTS = 65_536

_Subject = tuple[str, ...]


class ProcessLimiter:
    """Counts failed attempts in this process, in buckets that leak at the rate of their limit.

    An attempt is charged when it begins, so that parallel guesses gain nothing, and given back if it
    did not fail. Which addresses an account trusts is not known; so that
    strangers cannot easily lock out an owner, an account is limited from each address, and ten times as
    high from everywhere.

    Args:
        account: the limit of an account from one address.
        address: the limit of an address.
        network: the limit of a network.
        now: returns seconds that never go back.
    """

    def __init__(
        self, account: Limit, address: Limit, network: Limit, now: Callable[[], float] = time.monotonic
    ) -> None:
        account = _at_least(account)
        self._limits = {
            "pair": account,
            "account": Limit(account.amount * _EVERYWHERE, account.window_ms),
            "address": _at_least(address),
            "network": _at_least(network),
        }
        self._now = now
        # The level of a subject, and when it had that; the longest unused first.
        self._levels: OrderedDict[_Subject, tuple[float, float]] = OrderedDict()

    def begin(self, mobile: str, address: str) -> tuple[str, int] | None:
        """Charge an attempt and return None, or return whose limit is used up, and for how many seconds."""
        subjects = _subjects(mobile, address)
        for subject in subjects:
            limit = self._limits[subject[0]]
            beyond = self._level(subject) + 1 - limit.amount
            if beyond > 0:
                return subject[0], math.ceil(beyond * limit.window_ms / limit.amount / 1000)
        for subject in subjects:
            self._add(subject, 1)
        return None

    def settle(self, mobile: str, address: str, *, failed: bool) -> None:
        """Give back what an attempt was charged, unless it failed."""
        if not failed:
            for subject in _subjects(mobile, address):
                self._add(subject, -1)

    def _level(self, subject: _Subject) -> float:
        level, at = self._levels.get(subject, (0.0, 0.0))
        limit = self._limits[subject[0]]
        return max(0.0, level - (self._now() - at) * 1000 * limit.amount / limit.window_ms)

    def _add(self, subject: _Subject, events: int) -> None:
        self._levels[subject] = max(0.0, self._level(subject) + events), self._now()
        self._levels.move_to_end(subject)
        if len(self._levels) > _MAX_SUBJECTS:
            self._levels.popitem(last=False)


def _at_least(limit: Limit) -> Limit:
    return Limit(max(_LEAST, limit.amount), limit.window_ms)


def _subjects(mobile: str, address: str) -> list[_Subject]:
    return [
        ("pair", mobile, host_of(address)),
        ("account", mobile),
        ("address", canonical(address)),
        ("network", network_of(address)),
    ]
