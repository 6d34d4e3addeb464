"""When codes can be read out by a call, and which.

Source: yunpian.com/official/document/sms/zh_CN/voicecode_list: 4 to 6 digits; no calls to mainland numbers
from 22:00 to 7:30. Foreign numbers are called at any time.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

SPOKEN_DIGITS = range(4, 7)
_CHINA = timezone(timedelta(hours=8))
_DAY = timedelta(days=1)
_FORMAT = re.compile(r"([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class VoiceHours:
    """The part of each day, China time, in which mainland numbers are called.

    Attributes:
        opens: the first moment, counted from midnight.
        closes: the first moment that is too late, counted from midnight.
    """

    opens: timedelta
    closes: timedelta

    @classmethod
    def parse(cls, text: str) -> "VoiceHours":
        """Return the hours of a text such as `07:30-22:00`; `00:00-24:00` are all.

        Raises:
            ValueError: it is malformed, or does not begin before it ends.
        """
        match = _FORMAT.fullmatch(text)
        if match is None:
            raise ValueError
        hour, minute, last_hour, last_minute = map(int, match.groups())
        hours = cls(timedelta(hours=hour, minutes=minute), timedelta(hours=last_hour, minutes=last_minute))
        if not hours.opens < hours.closes <= _DAY:
            raise ValueError
        return hours

    def opening(self, mobile: str, at: datetime) -> datetime:
        """Return when a canonical number can be called: `at` itself, or the next opening after it."""
        if mobile.startswith("+"):
            return at
        midnight = at.astimezone(_CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        opens = midnight + self.opens
        if at < opens:
            return opens
        return at if at < midnight + self.closes else opens + _DAY

    def __str__(self) -> str:
        return f"{_clock_time(self.opens)}-{_clock_time(self.closes)}"


def _clock_time(since_midnight: timedelta) -> str:
    hours, minutes = divmod(int(since_midnight.total_seconds()) // 60, 60)
    return f"{hours:02}:{minutes:02}"
