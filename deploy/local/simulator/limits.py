"""How often: the windows of a number, and the calls of a whole account."""

from collections import deque
from dataclasses import dataclass, field

from deploy.local.simulator.codes import Refused

_DAY = 86_400.0


@dataclass(slots=True)
class NumberWindows:
    """What each number has been sent in the last day."""

    _history: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)

    def check(self, now: float, mobile: str, text: str) -> None:
        """Refuse a text that comes too soon after others to the number."""
        history = self._history.get(mobile, deque())
        while history and history[0][0] <= now - _DAY:
            history.popleft()

        def count(seconds: float, same: str | None = None) -> int:
            return sum(at > now - seconds and same in {None, sent} for at, sent in history)

        for refusing, code in (
            (count(30, text) >= 1, 8),
            (count(300, text) >= 3, 9),  # noqa: PLR2004 - Yunpian: three in five minutes
            (count(30) >= 1, 33),
            (count(3600) >= 3, 22),  # noqa: PLR2004 - Yunpian: three in an hour
            (count(_DAY) >= 10, 17),  # noqa: PLR2004 - ten in a day
        ):
            if refusing:
                raise Refused(code, mobile)

    def add(self, now: float, mobile: str, text: str) -> None:
        """Count an accepted text."""
        self._history.setdefault(mobile, deque()).append((now, text))


@dataclass(slots=True)
class CallRate:
    """The sending calls of an account, refused ones included."""

    _calls: deque[float] = field(default_factory=deque)

    def count(self, now: float, per_second: int | None, per_day: int | None) -> None:
        """Count a call while there is a limit; refuse it where one is exceeded."""
        if per_second is None and per_day is None:
            self._calls.clear()
            return
        self._calls.append(now)
        while self._calls[0] <= now - _DAY:
            self._calls.popleft()
        if per_day is not None and len(self._calls) > per_day:
            raise Refused(-4)
        if per_second is not None and self._in_last_second(now) > per_second:
            raise Refused(-5)

    def _in_last_second(self, now: float) -> int:
        count = 0
        for at in reversed(self._calls):
            if at <= now - 1:
                break
            count += 1
        return count
