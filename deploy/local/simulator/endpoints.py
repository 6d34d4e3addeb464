"""Yunpian's HTTP endpoints, with scripted faults.

As documented on yunpian.com: domestic_single_send, domestic_batch_send, voicecode_list, domestic_sms_record,
domestic_pull_status.
"""

import asyncio
import json
import socket
import struct
from abc import abstractmethod
from typing import ClassVar

from tornado.iostream import IOStream
from tornado.web import RequestHandler

from deploy.local.simulator import quirks
from deploy.local.simulator.account import Account
from deploy.local.simulator.error_codes import YunpianError
from deploy.local.simulator.messages import Channel, Json
from deploy.local.simulator.records import Form, find_records, page_size
from deploy.local.simulator.rules import Endpoint, Fault
from deploy.local.simulator.simulator import Simulator
from deploy.local.simulator.validation import require

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json;charset=utf-8"
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_HANG_SECONDS = 600.0
_MAX_BATCH = 1000
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class YunpianEndpoint(RequestHandler):
    """Responds with 200 and the result of `perform`, or with 400 and its error, unless a fault applies."""

    name: ClassVar[Endpoint]
    channel: ClassVar[Channel] = "sms"

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
        name, mobile = account.name if account else "", form.get("mobile", "")
        request = (self.name, name, mobile, self.channel)
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
            account.check_permission(self.name)
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
        body = self._styled(body)
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.finish(json.dumps(body, ensure_ascii=False))

    async def _respond_slowly(self, status: int, body: object, seconds: float) -> None:
        content = json.dumps(self._styled(body), ensure_ascii=False).encode()
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.set_header("Content-Length", str(len(content)))
        for byte in content:
            self.write(bytes((byte,)))
            await self.flush()
            await asyncio.sleep(seconds / len(content))

    def _styled(self, body: object) -> object:
        """Return the body in the account's style.

        The code that a known account got is counted; success without a code counts as 0.
        """
        account = self.simulator.find_account(self._form().get("apikey", ""))
        if account is not None:
            code = body.get("code", 0) if isinstance(body, dict) else 0
            account.answers[str(code)] += 1
        return quirks.with_code_style(body, account)


class SingleSend(YunpianEndpoint):
    """`POST /v2/sms/single_send.json`: send a text."""

    name = "single_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Send the text."""
        message = account.send_text(form.get("mobile", ""), form.get("text", ""), form.get("uid"))
        self.simulator.deliver(account, message, form.get("callback_url", ""))
        return quirks.send_response(message, account)


class BatchSend(YunpianEndpoint):
    """`POST /v2/sms/batch_send.json`: one text to several numbers; each is accepted or not by itself."""

    name = "batch_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Send the text to each number."""
        require(mobile=form.get("mobile", ""))
        mobiles = form["mobile"].split(",")
        if len(mobiles) > _MAX_BATCH:
            raise YunpianError(2, "mobile", str(len(mobiles)))
        items = [self._send(account, mobile, form) for mobile in mobiles]
        accepted = [item for item in items if item["code"] == 0]
        return {
            "total_count": sum(int(str(item["count"])) for item in accepted),
            "total_fee": f"{sum(float(str(item['fee'])) for item in accepted):.4f}",
            "unit": account.config.unit,
            "data": items,
        }

    def _send(self, account: Account, mobile: str, form: Form) -> Json:
        try:
            message = account.send_text(mobile, form.get("text", ""), form.get("uid"))
        except YunpianError as error:
            refused = {"count": 0, "fee": 0.0, "unit": account.config.unit, "mobile": mobile, "sid": None}
            return {"code": error.code, "msg": error.body["msg"], **refused}
        self.simulator.deliver(account, message, form.get("callback_url", ""))
        return quirks.send_response(message, account)


class VoiceSend(YunpianEndpoint):
    """`POST /v2/voice/send.json`: read out a code in a voice call."""

    name = "voice_send"
    channel = "voice"

    def perform(self, account: Account, form: Form) -> Json:
        """Call the number."""
        message = account.send_voice(form.get("mobile", ""), form.get("code", ""), form.get("uid"))
        self.simulator.deliver(account, message, form.get("callback_url", ""))
        return quirks.voice_response(message, account)


class GetRecord(YunpianEndpoint):
    """`POST /v2/sms/get_record.json`: the texts of a period, newest first."""

    name = "get_record"

    def perform(self, account: Account, form: Form) -> list[Json]:
        """Find the texts."""
        return find_records(account, form)


class PullStatus(YunpianEndpoint):
    """`POST /v2/sms/pull_status.json`: reports that were not pushed; returned reports are deleted."""

    name = "pull_status"

    def perform(self, account: Account, form: Form) -> object:
        """Return the oldest reports."""
        return quirks.reports(account.pull_reports(self.channel, page_size(form)), account)


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
