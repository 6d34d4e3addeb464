"""`get_record`: the texts that an account has accepted, in pages."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from deploy.local.simulator import quirks
from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Json, Message, parse_china_time
from deploy.local.simulator.validation import require

Form = Mapping[str, str]

_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 20, 100


def find_records(account: Account, form: Form) -> list[Json]:
    """Return the requested page of an account's texts, newest first.

    Raises:
        YunpianError: a parameter is missing or malformed.
    """
    start, end = _time(form, "start_time"), _time(form, "end_time")
    size = page_size(form)
    first = (_number(form, "page_num", 1, 1_000_000) - 1) * size
    found = [
        message
        for message in reversed(account.records)
        if _is_visible(message, account, start, end) and _is_requested(message, form)
    ]
    return [quirks.record(message, account) for message in found[first : first + size]]


def _is_visible(message: Message, account: Account, start: datetime, end: datetime) -> bool:
    visible = message.at + timedelta(seconds=account.config.record_lag) <= account.now
    return message.channel == "sms" and visible and start <= quirks.recorded_at(message, account) <= end


def _is_requested(message: Message, form: Form) -> bool:
    mobiles = form.get("mobile", "")
    foreign = {"all": {False, True}, "global": {True}}.get(form.get("type", ""), {False})
    return (not mobiles or message.mobile in mobiles.split(",")) and message.mobile.startswith("+") in foreign


def page_size(form: Form) -> int:
    """Return how many items are asked for.

    Raises:
        YunpianError: it is malformed, or too many.
    """
    return _number(form, "page_size", _DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE)


def _time(form: Form, name: str) -> datetime:
    value = form.get(name, "")
    require(**{name: value})
    try:
        return parse_china_time(value)
    except ValueError:
        raise YunpianError(2, name, value) from None


def _number(form: Form, name: str, default: int, maximum: int) -> int:
    value = form.get(name) or str(default)
    if not value.isdecimal() or not 1 <= int(value) <= maximum:
        raise YunpianError(2, name, value)
    return int(value)
