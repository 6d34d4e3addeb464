"""Accepted messages and their status reports, in the formats in which Yunpian shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Channel = Literal["sms", "voice"]
Status = Literal["SUCCESS", "FAIL", "UNKNOWN"]
Unit = Literal["RMB", "COUNT"]
SidStyle = Literal["native", "text", "null", "missing"]
Json = dict[str, object]

# Yunpian writes local times without a zone.
CHINA = timezone(timedelta(hours=8))
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def format_china_time(at: datetime) -> str:
    """Return a time as Yunpian writes it."""
    return at.astimezone(CHINA).strftime(_TIME_FORMAT)


def parse_china_time(text: str) -> datetime:
    """Parse a time as Yunpian writes it.

    Raises:
        ValueError: it is malformed.
    """
    return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=CHINA)


@dataclass(frozen=True, slots=True)
class Report:
    """The carrier's status report of a message, available from `at` on."""

    status: Status
    error_msg: str | None
    error_detail: str | None
    at: datetime


@dataclass(slots=True)
class Message:
    """A message that an account accepted; `report` is None if there will be no report."""

    account: str
    channel: Channel
    mobile: str
    text: str
    sid: int | str
    at: datetime
    parts: int
    fee: float
    uid: str | None = None
    unit: Unit = "RMB"
    report: Report | None = None

    def report_at(self, now: datetime) -> Report | None:
        """Return the report if it is available at `now`."""
        return self.report if self.report is not None and self.report.at <= now else None

    def to_inbox(self, now: datetime) -> Json:
        """Return the item of the inbox."""
        report = self.report_at(now)
        states = {"SUCCESS": "delivered", "FAIL": "failed"}
        state = states.get(report.status, "accepted") if report else "accepted"
        return {
            "mobile": self.mobile,
            "text": self.text,
            "sid": self.sid,
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": self.channel,
            "account": self.account,
            "status": state,
            "error": report.error_msg if report and state == "failed" else None,
        }

    def to_send_response(self) -> Json:
        """Return the response of `single_send`."""
        return {
            "code": 0,
            "msg": "发送成功",
            "count": self.parts,
            "fee": self.fee,
            "unit": self.unit,
            "mobile": self.mobile,
            "sid": self.sid,
        }

    def to_record(self, now: datetime, shift: timedelta = timedelta(0)) -> Json:
        """Return the item of `get_record`; there the sid is a string and the fee is the number of parts.

        Args:
            now: decides whether there is a report yet.
            shift: how far the account's times are from China's.
        """
        report = self.report_at(now)
        delivered = report is not None and report.status == "SUCCESS"
        return {
            "sid": str(self.sid),
            "mobile": self.mobile,
            "send_time": format_china_time(self.at + shift),
            "text": self.text,
            "send_status": "SUCCESS",
            "report_status": report.status if report else "UNKNOWN",
            "fee": self.parts,
            "user_receive_time": format_china_time(report.at + shift) if report and delivered else None,
            "error_msg": report.error_msg if report else None,
            "uid": self.uid,
        }

    def to_report(self) -> Json:
        """Return the item of a status report, pushed or pulled."""
        if self.report is None:
            raise ValueError("the message has no report")
        item: Json = {
            "sid": self.sid,
            "uid": self.uid,
            "mobile": self.mobile,
            "report_status": self.report.status,
            "error_msg": self.report.error_msg,
            "error_detail": self.report.error_detail,
            "user_receive_time": format_china_time(self.report.at),
        }
        return item if self.channel == "sms" else item | {"duration": 10}
