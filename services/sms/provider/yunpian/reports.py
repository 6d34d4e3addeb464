"""Parsing Yunpian's status reports, pushed (form member `sms_status`) or pulled (`pull_status`).

Source: yunpian.com/official/document/sms/en/domestic_push_report. Not verified with a live account: that
times are in UTC+8 (`records.parse_time`), and that some pushes are URL-encoded twice.
"""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from services.sms.provider.yunpian.records import parse_time
from services.sms.reports.models import ReportBatch, ReportStatus, StatusReport

# Ten times what is documented, and twice what was seen. It bounds the work of one push.
_MAX_ITEMS = 1000

# The form members of texts and of voice calls.
PUSH_MEMBERS = ("sms_status", "voice_status")

_STATUSES: dict[object, ReportStatus] = {"SUCCESS": "delivered", "FAIL": "failed"}
_SID = re.compile(r"[0-9A-Za-z_\-]{1,64}", re.ASCII)
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
        UnreadableReports: it is not a JSON array, has more than a thousand items, or no item is a report.
    """
    document = _json(value)
    if document is None:
        document = _json(unquote_plus(value))
    if isinstance(document, list) and len(document) > _MAX_ITEMS:
        raise UnreadableReports("too many items")
    batch = parse_items(document, now)
    if batch.unreadable and not batch.reports:
        raise UnreadableReports("no item is a report")
    return batch


def parse_items(document: object, now: datetime) -> ReportBatch:
    """Parse the reports of a decoded array.

    An item that is not a report is left out: if the whole were refused, the provider would repeat it
    unchanged and finally drop the others with it.

    Raises:
        UnreadableReports: it is not an array.
    """
    if not isinstance(document, list):
        raise UnreadableReports("not an array")
    parsed = [_report(item, now) for item in document]
    reports = [report for report in parsed if report is not None]
    return ReportBatch(reports, len(parsed) - len(reports))


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the decoded text, or None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _report(item: object, now: datetime) -> StatusReport | None:
    if not isinstance(item, dict):
        return None
    sid, status = _sid(item.get("sid")), _status(item.get("report_status"))
    if not sid or status is None:
        return None
    code = _code(item.get("error_msg")) if status == "failed" else ""
    at = _time(item.get("user_receive_time"), now)
    return StatusReport(sid, status, code, at, _sid(item.get("uid")))


def _sid(value: object) -> str:
    """Return a sid as text: it is a number in pushes and a string elsewhere."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _SID.fullmatch(text) else ""


def _status(value: object) -> ReportStatus | None:
    return _STATUSES.get(value) if isinstance(value, str) else None


def _code(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return text if _CODE.fullmatch(text) else _OTHER_CODE


def _time(value: object, now: datetime) -> datetime:
    try:
        return parse_time(value) if isinstance(value, str) and len(value) <= _LONGEST_TIME else now
    except ValueError:
        return now
