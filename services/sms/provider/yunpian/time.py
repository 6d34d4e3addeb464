"""Yunpian's times: UTC+8, written without a zone.

That it is UTC+8 is nowhere documented; should a live account show otherwise, this is the place.
"""

from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
_FORMAT = "%Y-%m-%d %H:%M:%S"


def to_yunpian(at: datetime) -> str:
    """Return a moment as Yunpian writes it."""
    return at.astimezone(CHINA).strftime(_FORMAT)


def from_yunpian(text: str) -> datetime:
    """Return the moment that Yunpian wrote.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=CHINA)
