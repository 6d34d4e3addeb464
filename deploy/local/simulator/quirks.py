"""How real accounts differ in what they answer: an account's configuration switches each of them on.

Sources: the vendor's SDKs, which convert every code to an integer, and bodies quoted in public code.
"""

import re
from datetime import datetime, timedelta

from deploy.local.simulator.account import Account
from deploy.local.simulator.messages import Json, Message, SidStyle

_DIGIT = re.compile(r"\d", re.ASCII)


def send_response(message: Message, account: Account) -> Json:
    """Return the response to a text."""
    return _with_sid(message.to_send_response(), account.config.answer_sids)


def voice_response(message: Message, account: Account) -> Json:
    """Return the response to a call."""
    return _with_sid({"count": 1, "fee": 1, "sid": message.sid}, account.config.answer_sids)


def reports(messages: list[Message], account: Account) -> object:
    """Return status reports, pushed or pulled."""
    items = [_with_sid(message.to_report(), account.config.report_sids) for message in messages]
    return items[0] if len(items) == 1 and account.config.single_report_as_object else items


def record(message: Message, account: Account) -> Json:
    """Return an item of `get_record`."""
    config = account.config
    item = message.to_record(account.now, timedelta(hours=config.record_shift))
    if config.record_mask:
        text, mobile = str(item["text"]), str(item["mobile"])
        item |= {"text": _DIGIT.sub("*", text), "mobile": f"{mobile[:-8]}****{mobile[-4:]}"}
    return item


def recorded_at(message: Message, account: Account) -> datetime:
    """Return the time of a message as `get_record` understands it."""
    return message.at.replace(microsecond=0) + timedelta(hours=account.config.record_shift)


def with_code_style(body: object, account: Account | None) -> object:
    """Return a response's body with its codes as the account has them."""
    if account is None or not account.config.codes_as_text or not isinstance(body, dict):
        return body
    changed = body | ({"code": str(body["code"])} if "code" in body else {})
    if isinstance(items := body.get("data"), list):
        changed["data"] = [item | {"code": str(item["code"])} for item in items]
    return changed


def _with_sid(item: Json, style: SidStyle) -> Json:
    match style:
        case "text":
            return item | {"sid": str(item["sid"])}
        case "null":
            return item | {"sid": None}
        case "missing":
            return {name: value for name, value in item.items() if name != "sid"}
        case _:
            return item
