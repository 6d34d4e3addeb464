"""Yunpian's HTTP endpoints, with scripted faults.

As documented on yunpian.com: domestic_single_send, voicecode_list, domestic_sms_record, domestic_pull_status.
"""

import asyncio
import json
import socket
import struct
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from tornado.iostream import IOStream
from tornado.web import RequestHandler

from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Channel, Json, Message, parse_china_time
from deploy.local.simulator.rules import Endpoint, Fault
from deploy.local.simulator.simulator import Simulator
from deploy.local.simulator.validation import require

Form = Mapping[str, str]

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json;charset=utf-8"
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_HANG_SECONDS = 600.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 20, 100


class YunpianEndpoint(RequestHandler):
    """Responds with 200 and the result of `perform`, or with 400 and its error, unless a fault applies."""

    name: ClassVar[Endpoint]

    def initialize(self, simulator: Simulator) -> None:
        """Take the simulator."""
        self.simulator = simulator

    @abstractmethod
    def perform(self, account: Account, form: Form) -> object:
        """Do the endpoint's work and return the response's JSON.

        Raises:
            YunpianError: the request is rejected.
        """

    def get(self) -> None:
        """Reject the request: Yunpian takes POST only."""
        self._respond(400, YunpianError(11).body)

    async def post(self) -> None:
        """Process a form."""
        form = self._form()
        account = self.simulator.find_account(form.get("apikey", ""))
        request = (self.name, account.name if account else "", form.get("mobile", ""))
        faults = self.simulator.faults
        if latency := faults.take(lambda rule: rule.fault == "latency" and rule.matches_request(*request)):
            await asyncio.sleep(latency.seconds)
        fault = faults.take(lambda rule: rule.fault != "latency" and rule.matches_request(*request))
        if fault is None:
            self._respond(*self._perform(form))
        else:
            await self._fail(fault, form)

    def _form(self) -> Form:
        if not self.request.headers.get("Content-Type", "").startswith(_FORM):
            return {}
        return {name: self.get_body_argument(name) for name in self.request.body_arguments}

    def _perform(self, form: Form) -> tuple[int, object]:
        try:
            account = self.simulator.authenticate(form.get("apikey", ""), self.request.remote_ip or "")
            return 200, self.perform(account, form)
        except YunpianError as error:
            return 400, error.body

    async def _fail(self, fault: Fault, form: Form) -> None:
        kind = fault.fault.removeprefix("accept_then_")
        if kind != fault.fault:
            self._perform(form)
        match kind:
            case "code":
                self._respond(400, YunpianError(fault.code, fault.detail or form.get("mobile", "")).body)
            case "bad_gateway" | "bad_gateway_html":
                self.set_status(502)
                self.set_header("Content-Type", "text/html")
                self.finish(_BAD_GATEWAY)
            case "empty_503":
                self.set_status(503)
                self.finish()
            case "slow_read":
                await self._respond_slowly(*self._perform(form), fault.seconds)
            case "hang":
                await asyncio.sleep(_HANG_SECONDS)
                self._close(reset=False)
            case _:
                self._close(reset=kind == "reset")

    def _close(self, *, reset: bool) -> None:
        stream: IOStream = self.detach()
        if reset:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        stream.close()

    def _respond(self, status: int, body: object) -> None:
        self._count(body)
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.finish(json.dumps(body, ensure_ascii=False))

    async def _respond_slowly(self, status: int, body: object, seconds: float) -> None:
        self._count(body)
        content = json.dumps(body, ensure_ascii=False).encode()
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.set_header("Content-Length", str(len(content)))
        for byte in content:
            self.write(bytes((byte,)))
            await self.flush()
            await asyncio.sleep(seconds / len(content))

    def _count(self, body: object) -> None:
        """Count the code that a known account got; success without a code counts as 0."""
        account = self.simulator.find_account(self._form().get("apikey", ""))
        if account is not None:
            code = body.get("code", 0) if isinstance(body, dict) else 0
            account.answers[str(code)] += 1


class SingleSend(YunpianEndpoint):
    """`POST /v2/sms/single_send.json`: send a text."""

    name = "single_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Send the text."""
        message = account.send_text(form.get("mobile", ""), form.get("text", ""), form.get("uid"))
        self.simulator.deliver(account, message, form.get("callback_url", ""))
        return message.to_send_response()


class VoiceSend(YunpianEndpoint):
    """`POST /v2/voice/send.json`: read out a code in a voice call."""

    name = "voice_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Call the number."""
        message = account.send_voice(form.get("mobile", ""), form.get("code", ""), form.get("uid"))
        self.simulator.deliver(account, message, form.get("callback_url", ""))
        return {"count": 1, "fee": 1, "sid": message.sid}


class GetRecord(YunpianEndpoint):
    """`POST /v2/sms/get_record.json`: the texts of a period, newest first."""

    name = "get_record"

    def perform(self, account: Account, form: Form) -> list[Json]:
        """Find the texts."""
        return find_records(account, form)


class PullStatus(YunpianEndpoint):
    """`POST /v2/sms/pull_status.json`: reports that were not pushed; returned reports are deleted."""

    name = "pull_status"
    channel: ClassVar[Channel] = "sms"

    def perform(self, account: Account, form: Form) -> list[Json]:
        """Return the oldest reports."""
        return [message.to_report() for message in account.pull_reports(self.channel, _page_size(form))]


class PullVoiceStatus(PullStatus):
    """`POST /v2/voice/pull_status.json`: the same for voice calls."""

    channel = "voice"


class UserGet(YunpianEndpoint):
    """`POST /v2/user/get.json`: the account."""

    name = "user_get"

    def perform(self, account: Account, form: Form) -> Json:
        """Return the account's data."""
        return {
            "nick": account.name,
            "gmt_created": "2026-01-01 00:00:00",
            "mobile": "13000000000",
            "email": f"{account.name}@example.com",
            "ip_whitelist": ",".join(account.config.ip_whitelist) or None,
            "api_version": "v2",
            "balance": account.config.balance,
            "alarm_balance": 100,
            "emergency_contact": "",
            "emergency_mobile": "",
        }


def find_records(account: Account, form: Form) -> list[Json]:
    """Return the requested page of an account's texts, newest first.

    Raises:
        YunpianError: a parameter is missing or malformed.
    """
    start, end = _time(form, "start_time"), _time(form, "end_time")
    size = _page_size(form)
    first = (_number(form, "page_num", 1, 1_000_000) - 1) * size
    found = [
        message
        for message in reversed(account.records)
        if _is_visible(message, account, start, end) and _is_requested(message, form)
    ]
    return [message.to_record(account.now) for message in found[first : first + size]]


def _is_visible(message: Message, account: Account, start: datetime, end: datetime) -> bool:
    visible = message.at + timedelta(seconds=account.config.record_lag) <= account.now
    return message.channel == "sms" and visible and start <= message.at.replace(microsecond=0) <= end


def _is_requested(message: Message, form: Form) -> bool:
    mobiles = form.get("mobile", "")
    foreign = {"all": {False, True}, "global": {True}}.get(form.get("type", ""), {False})
    return (not mobiles or message.mobile in mobiles.split(",")) and message.mobile.startswith("+") in foreign


def _page_size(form: Form) -> int:
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
