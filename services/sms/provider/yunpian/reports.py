"""Yunpian's status reports, pushed (form member `sms_status`) or pulled (`pull_status`), read.

Source: yunpian.com/official/document/sms/en/domestic_push_report. Not verified with a live account, and
therefore here alone: that the time is China's (`yunpian_time`), and that some pushes are url-encoded twice.
"""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from services.sms.provider.yunpian.time import from_yunpian
from services.sms.reports.service import Batch, Outcome, StatusReport

# Of texts and of voice calls.
PUSH_MEMBERS = ("sms_status", "voice_status")

_OUTCOMES: dict[object, Outcome] = {"SUCCESS": "delivered", "FAIL": "failed"}
_SID = re.compile(r"[0-9A-Za-z_\-]{1,64}", re.ASCII)
# A carrier's code, such as DB:0103 or UNDELIV. Anything else in its place may be content.
_CODE = re.compile(r"[0-9A-Za-z:._\-]{1,32}", re.ASCII)
_OTHER_CODE = "other"


class UnreadableReports(ValueError):
    """There is no usable report; the message says why, without content."""


def read_push(value: str, now: datetime) -> Batch:
    """Return the reports of a push.

    Args:
        value: the form member's value, url-decoded once.
        now: stands in for a time that is missing or malformed.

    Raises:
        UnreadableReports: it is no JSON array, or no item of it is a report.
    """
    document = _json(value)
    if document is None:
        document = _json(unquote_plus(value))
    batch = read_items(document, now)
    if batch.unreadable and not batch.reports:
        raise UnreadableReports("no item is a report")
    return batch


def read_items(document: object, now: datetime) -> Batch:
    """Return the reports of a parsed array.

    An item that is none is left out: refusing the whole would have the provider repeat it as it is, and
    then drop the others with it.

    Raises:
        UnreadableReports: it is no array.
    """
    if not isinstance(document, list):
        raise UnreadableReports("not an array")
    read = [_report(item, now) for item in document]
    reports = [report for report in read if report is not None]
    return Batch(reports, len(read) - len(reports))


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the parsed text, None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _report(item: object, now: datetime) -> StatusReport | None:
    if not isinstance(item, dict):
        return None
    sid, outcome = _sid(item.get("sid")), _outcome(item.get("report_status"))
    if not sid or outcome is None:
        return None
    code = _code(item.get("error_msg")) if outcome == "failed" else ""
    return StatusReport(sid, outcome, code, _moment(item.get("user_receive_time"), now))


def _sid(value: object) -> str:
    """Return a sid as text: it comes as a number in pushes, and as a string elsewhere."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _SID.fullmatch(text) else ""


def _outcome(value: object) -> Outcome | None:
    return _OUTCOMES.get(value) if isinstance(value, str) else None


def _code(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return text if _CODE.fullmatch(text) else _OTHER_CODE


def _moment(value: object, now: datetime) -> datetime:
    try:
        return from_yunpian(value) if isinstance(value, str) else now
    except ValueError:
        return now
