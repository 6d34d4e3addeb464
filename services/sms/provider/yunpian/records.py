"""Looking a message up among those that an account accepted (`get_record`).

Source: yunpian.com/official/document/sms/zh_CN/domestic_sms_record. How soon a message shows up there is
not documented; nor is whether one that could not be submitted does, which `send_status` tells.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.sms.provider.base import NOT_FOUND, UNKNOWN, Found, Search
from services.sms.provider.yunpian.time import from_yunpian, to_yunpian

# Their clock may be behind ours. Less than the time between two messages to a number, since a second
# one carries the same text.
_CLOCK_SKEW = timedelta(seconds=5)
_PAGE_SIZE = "100"


def query(mobile: str, since: datetime, until: datetime) -> dict[str, str]:
    """Return the form that asks for the messages to a number between two times."""
    return {
        "mobile": mobile,
        "start_time": to_yunpian(since - _CLOCK_SKEW),
        "end_time": to_yunpian(until + _CLOCK_SKEW),
        "page_size": _PAGE_SIZE,
        "type": "all",
    }


def find(records: object, text: str, since: datetime) -> Found:
    """Return the record of a text sent at `since` or later."""
    if not isinstance(records, list):
        return UNKNOWN
    earliest = since - _CLOCK_SKEW
    for record in records:
        if isinstance(record, dict) and _is(record, text, earliest):
            return Found(Search.FOUND, str(record.get("sid", "")))
    return NOT_FOUND


def _is(record: Mapping[str, Any], text: str, earliest: datetime) -> bool:
    if record.get("text") != text or record.get("send_status") == "FAIL":
        return False
    try:
        return from_yunpian(str(record.get("send_time"))) >= earliest.replace(microsecond=0)
    except ValueError:
        return False
