"""Searching the messages that an account has accepted (`get_record`), and Yunpian's format of times.

Source: yunpian.com/official/document/sms/zh_CN/domestic_sms_record. It does not say how soon a message is on
record, nor whether one that could not be submitted is; `send_status` tells.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, SearchResult, SearchStatus
from services.sms.provider.yunpian.values import read_items, read_sid

# Their clock may be behind ours. Less than the time between two messages to a number, because a second
# one has the same text.
_CLOCK_SKEW = timedelta(seconds=5)
_PAGE_SIZE = "100"
# That times are in UTC+8 is not documented; should a live account show otherwise, change it here.
_CHINA = timezone(timedelta(hours=8))
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def format_time(at: datetime) -> str:
    """Return a time in Yunpian's format."""
    return at.astimezone(_CHINA).strftime(_TIME_FORMAT)


def parse_time(text: str) -> datetime:
    """Return a time in Yunpian's format as a datetime.

    Raises:
        ValueError: it is malformed.
    """
    return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=_CHINA)


def query(mobile: str, since: datetime, until: datetime) -> dict[str, str]:
    """Return the form that asks for the messages to a number between two times."""
    return {
        "mobile": mobile,
        "start_time": format_time(since - _CLOCK_SKEW),
        "end_time": format_time(until + _CLOCK_SKEW),
        "page_size": _PAGE_SIZE,
        "type": "all",
    }


def find(records: object, text: str, since: datetime) -> SearchResult:
    """Find the record of a text that was sent at `since` or later."""
    items = read_items(records, "send_time")
    if items is None:
        return UNAVAILABLE
    earliest = since - _CLOCK_SKEW
    for record in items:
        if isinstance(record, dict) and _matches(record, text, earliest):
            return SearchResult(SearchStatus.FOUND, read_sid(record))
    return NOT_FOUND


def _matches(record: Mapping[str, Any], text: str, earliest: datetime) -> bool:
    if record.get("text") != text or record.get("send_status") == "FAIL":
        return False
    try:
        return parse_time(str(record.get("send_time"))) >= earliest.replace(microsecond=0)
    except ValueError:
        return False
