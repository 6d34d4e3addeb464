"""Searching the messages that an account has accepted (`get_record`), and Yunpian's format of times.

Source: yunpian.com/official/document/sms/zh_CN/domestic_sms_record. It does not say how soon a message is on
record, nor whether one that could not be submitted is; `send_status` tells. Seen elsewhere, or possible:
records without `uid` (it has to be switched on for some accounts), with masked digits, with times of another
zone. Whatever may be the message's record is therefore never taken for the record of another one.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from services.sms.provider.base import NOT_FOUND, UNAVAILABLE, UNCLEAR, Outgoing, SearchResult, SearchStatus
from services.sms.provider.yunpian.values import read_items, read_sid, read_uid

# Their clock may be behind ours. Less than the time between two messages to a number, because a second
# one has the same text.
_CLOCK_SKEW = timedelta(seconds=5)
_PAGE_SIZE = 100
# That times are in UTC+8 is not documented. The search spans all zones, and zones differ by quarters of
# an hour.
_CHINA = timezone(timedelta(hours=8))
_MAX_SHIFT, _SHIFT_STEP = timedelta(hours=26), timedelta(minutes=15)
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_MASK = re.compile(r"[*xX]+")
_NO_DIGIT = re.compile(r"[^0-9*xX]")


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
    """Return the form that asks for the messages to a number between two times, whatever the zone."""
    return {
        "mobile": mobile,
        "start_time": format_time(since - _CLOCK_SKEW - _MAX_SHIFT),
        "end_time": format_time(until + _CLOCK_SKEW + _MAX_SHIFT),
        "page_size": str(_PAGE_SIZE),
        "type": "all",
    }


def find(records: object, message: Outgoing, since: datetime, until: datetime) -> SearchResult:
    """Find the record of a message that was sent between two times.

    A record with the message's `uid` is the message's; one with another `uid` is another message's. Without
    a `uid` the text decides: a record to the number with another one is unclear, since its digits may be
    masked.
    """
    items = read_items(records, "send_time")
    if items is None:
        return UNAVAILABLE
    sent = [record for record in items if isinstance(record, dict) and record.get("send_status") != "FAIL"]
    for record in sent:
        if read_uid(record) == message.message_id:
            return _found(record)
    candidates = [record for record in sent if _may_be(record, message, since, until)]
    for record in candidates:
        if record.get("text") == message.text and _is_to(record, message.mobile):
            return _found(record)
    # A full page may have left the record out.
    complete = len(items) < _PAGE_SIZE and all(isinstance(record, dict) for record in items)
    return NOT_FOUND if complete and not candidates else UNCLEAR


def _found(record: Mapping[str, Any]) -> SearchResult:
    return SearchResult(SearchStatus.FOUND, read_sid(record))


def _may_be(record: Mapping[str, Any], message: Outgoing, since: datetime, until: datetime) -> bool:
    """Return whether a record may be the message's, as far as its uid, number and time tell."""
    if record.get("uid") or not _is_to(record, message.mobile, masked=True):
        return False
    try:
        at = parse_time(str(record.get("send_time")))
    except ValueError:
        return True
    return _is_between(at, since, until)


def _is_to(record: Mapping[str, Any], mobile: str, *, masked: bool = False) -> bool:
    """Return whether a record is to a number, or may be where its digits are masked or missing."""
    known, wanted = _NO_DIGIT.sub("", str(record.get("mobile") or "")), mobile.removeprefix("+")
    visible = _MASK.split(known)
    if len(visible) == 1:
        return not known or known.endswith(wanted)  # with or without the country code
    return masked and wanted.endswith(visible[-1]) and (visible[0].removeprefix("86") in wanted)


def _is_between(at: datetime, since: datetime, until: datetime) -> bool:
    """Return whether a time is between two others in any time zone."""
    earliest = (since - _CLOCK_SKEW).replace(microsecond=0)
    return (at - earliest) % _SHIFT_STEP <= until + _CLOCK_SKEW - earliest
