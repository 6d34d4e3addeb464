"""What an account may ask: records, unread reports, itself (domestic_sms_record, domestic_pull_status)."""

from datetime import datetime, timedelta
from typing import ClassVar

from deploy.local.simulator.account import Account
from deploy.local.simulator.approval import check_given
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.endpoint import Form, YunpianEndpoint
from deploy.local.simulator.messages import Channel, Json, Sent, from_china_time

_DEFAULT_PAGE, _LARGEST_PAGE = 20, 100


class GetRecord(YunpianEndpoint):
    """`POST /v2/sms/get_record.json`: the texts of a time, newest first."""

    name = "get_record"

    def perform(self, account: Account, form: Form) -> list[Json]:
        """Look texts up."""
        return find_records(account, form)


class PullStatus(YunpianEndpoint):
    """`POST /v2/sms/pull_status.json`: reports that were not pushed; what is returned is deleted."""

    name = "pull_status"
    channel: ClassVar[Channel] = "sms"

    def perform(self, account: Account, form: Form) -> list[Json]:
        """Take the oldest reports."""
        return [sent.report_form() for sent in account.take_reports(self.channel, page_size(form))]


class PullVoiceStatus(PullStatus):
    """`POST /v2/voice/pull_status.json`: the same of calls."""

    channel = "voice"


class UserGet(YunpianEndpoint):
    """`POST /v2/user/get.json`: the account."""

    name = "user_get"

    def perform(self, account: Account, form: Form) -> Json:
        """Show the account."""
        return {
            "nick": account.name,
            "gmt_created": "2026-01-01 00:00:00",
            "mobile": "13000000000",
            "email": f"{account.name}@example.com",
            "ip_whitelist": ",".join(account.terms.ip_whitelist) or None,
            "api_version": "v2",
            "balance": account.terms.balance,
            "alarm_balance": 100,
            "emergency_contact": "",
            "emergency_mobile": "",
        }


def find_records(account: Account, form: Form) -> list[Json]:
    """Return the page of an account's texts that a form asks for, newest first.

    Raises:
        Refused: the form cannot be read.
    """
    window = _moment(form, "start_time"), _moment(form, "end_time")
    size = page_size(form)
    first = (_number(form, "page_num", 1, 1_000_000) - 1) * size
    found = [
        sent for sent in reversed(account.records) if _shown(sent, account, *window) and _wanted(sent, form)
    ]
    return [sent.record_form(account.now) for sent in found[first : first + size]]


def page_size(form: Form) -> int:
    """Return how many items are asked for; refuse more than a page holds."""
    return _number(form, "page_size", _DEFAULT_PAGE, _LARGEST_PAGE)


def _shown(sent: Sent, account: Account, start: datetime, end: datetime) -> bool:
    """Tell whether a message is a text of a time, and has become known."""
    known = sent.at + timedelta(seconds=account.terms.record_lag) <= account.now
    return sent.channel == "sms" and known and start <= sent.at.replace(microsecond=0) <= end


def _wanted(sent: Sent, form: Form) -> bool:
    """Tell whether a text is to one of the numbers asked for: at home unless the form says otherwise."""
    mobiles = form.get("mobile", "")
    foreign = {"all": {False, True}, "global": {True}}.get(form.get("type", ""), {False})
    return (not mobiles or sent.mobile in mobiles.split(",")) and sent.mobile.startswith("+") in foreign


def _moment(form: Form, name: str) -> datetime:
    value = form.get(name, "")
    check_given(**{name: value})
    try:
        return from_china_time(value)
    except ValueError:
        raise Refused(2, name, value) from None


def _number(form: Form, name: str, default: int, largest: int) -> int:
    value = form.get(name) or str(default)
    if not value.isdecimal() or not 1 <= int(value) <= largest:
        raise Refused(2, name, value)
    return int(value)
