"""Parsing Yunpian's status reports, pushed (form member `sms_status`) or pulled (`pull_status`).

Source: yunpian.com/official/document/sms/en/domestic_push_report, domestic_push_reply. Not verified with a
live account: that times are in UTC+8 (`records.parse_time`), and that some pushes are URL-encoded twice.
"""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from services.sms.provider.yunpian.records import parse_time
from services.sms.provider.yunpian.values import read_items, read_sid, read_uid
from services.sms.reports.models import ReportBatch, ReportStatus, StatusReport

# Ten times what is documented, and twice what was seen. It bounds the work of one push.
_MAX_ITEMS = 1000

# The form members of texts and of voice calls.
PUSH_MEMBERS = ("sms_status", "voice_status")
# What phones have answered. It is content, which is nobody's business here; only its arrival is confirmed.
REPLY_MEMBER = "sms_reply"

_STATUSES: dict[str, ReportStatus] = {"SUCCESS": "delivered", "FAIL": "failed"}
# The carrier has not reported yet; another report may follow.
_UNDECIDED = "UNKNOWN"
# A carrier's code, such as DB:0103 or UNDELIV. Anything else may be content and is not kept.
_CODE = re.compile(r"[0-9A-Za-z:._\-]{1,32}", re.ASCII)
_OTHER_CODE = "other"
_LONGEST_TIME = 32


class UnreadableReports(ValueError):
    """No report could be parsed; the error message holds no content."""


def parse_push(value: str, now: datetime) -> ReportBatch:
    """Parse the reports of a push.

    Args:
        value: the form member's value, URL-decoded once.
        now: replaces a time that is missing or malformed.

    Raises:
        UnreadableReports: it is no JSON array, has more than a thousand items, or none of them is a report.
    """
    document = _json(value)
    if document is None:
        document = _json(unquote_plus(value))
    if isinstance(document, list) and len(document) > _MAX_ITEMS:
        raise UnreadableReports("too many items")
    batch = parse_items(document, now)
    if batch.unreadable and not batch.reports and not batch.undecided:
        raise UnreadableReports("no item is a report")
    return batch


def parse_items(document: object, now: datetime) -> ReportBatch:
    """Parse the reports of a decoded array, or one report that comes without it.

    An item that is not a report is left out: if the whole were refused, the provider would repeat it
    unchanged and finally drop the others with it.

    Raises:
        UnreadableReports: it is not an array.
    """
    items = read_items(document, "report_status")
    if items is None:
        raise UnreadableReports("not an array")
    parsed = [_report(item, now) for item in items]
    reports = [report for report in parsed if report is not None]
    undecided = sum(_is_undecided(item) for item in items)
    return ReportBatch(reports, len(parsed) - len(reports) - undecided, undecided)


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the decoded text, or None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _report(item: object, now: datetime) -> StatusReport | None:
    if not isinstance(item, dict):
        return None
    sid, uid, status = read_sid(item), read_uid(item), _STATUSES.get(_status(item))
    if not (sid or uid) or status is None:
        return None
    code = _code(item.get("error_msg")) if status == "failed" else ""
    at = _time(item.get("user_receive_time"), now)
    return StatusReport(sid, status, code, at, uid)


def _is_undecided(item: object) -> bool:
    return isinstance(item, dict) and _status(item) == _UNDECIDED


def _status(item: dict[str, Any]) -> str:
    value = item.get("report_status")
    return value.strip().upper() if isinstance(value, str) else ""


def _code(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return text if _CODE.fullmatch(text) else _OTHER_CODE


def _time(value: object, now: datetime) -> datetime:
    try:
        return parse_time(value) if isinstance(value, str) and len(value) <= _LONGEST_TIME else now
    except ValueError:
        return now
