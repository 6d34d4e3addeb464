"""Accepted messages and their status reports, in the forms in which Yunpian shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Channel = Literal["sms", "voice"]
Status = Literal["SUCCESS", "FAIL"]
Json = dict[str, object]

# Yunpian writes local times without a zone.
_CHINA = timezone(timedelta(hours=8))
_FORMAT = "%Y-%m-%d %H:%M:%S"


def china_time(at: datetime) -> str:
    """Return a moment as Yunpian writes it."""
    return at.astimezone(_CHINA).strftime(_FORMAT)


def from_china_time(text: str) -> datetime:
    """Return the moment that Yunpian's form stands for.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=_CHINA)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message at the carrier, known from `at` on."""

    status: Status
    error_msg: str | None
    error_detail: str | None
    at: datetime


@dataclass(slots=True)
class Sent:
    """A message that an account accepted; `report` is None where none will come."""

    account: str
    channel: Channel
    mobile: str
    text: str
    sid: int | str
    at: datetime
    parts: int
    fee: float
    uid: str | None = None
    report: Report | None = None

    def reported(self, now: datetime) -> Report | None:
        """Return the report, once it is there."""
        return self.report if self.report is not None and self.report.at <= now else None

    def inbox_form(self, now: datetime) -> Json:
        """Return the inbox's form of it."""
        report = self.reported(now)
        states = {None: "accepted", "SUCCESS": "delivered", "FAIL": "failed"}
        return {
            "mobile": self.mobile,
            "text": self.text,
            "sid": self.sid,
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": self.channel,
            "account": self.account,
            "status": states[report.status if report else None],
            "error": report.error_msg if report else None,
        }

    def record_form(self, now: datetime) -> Json:
        """Return an item of `get_record`; its sid is a string and its fee counts parts."""
        report = self.reported(now)
        delivered = report is not None and report.status == "SUCCESS"
        return {
            "sid": str(self.sid),
            "mobile": self.mobile,
            "send_time": china_time(self.at),
            "text": self.text,
            "send_status": "SUCCESS",
            "report_status": report.status if report else "UNKNOWN",
            "fee": self.parts,
            "user_receive_time": china_time(report.at) if report and delivered else None,
            "error_msg": report.error_msg if report else None,
            "uid": self.uid,
        }

    def report_form(self) -> Json:
        """Return an item of a status report, pushed or pulled."""
        if self.report is None:
            raise ValueError("there is no report of this message")
        form: Json = {
            "sid": self.sid,
            "uid": self.uid,
            "mobile": self.mobile,
            "report_status": self.report.status,
            "error_msg": self.report.error_msg,
            "error_detail": self.report.error_detail,
            "user_receive_time": china_time(self.report.at),
        }
        return form if self.channel == "sms" else form | {"duration": 10}
