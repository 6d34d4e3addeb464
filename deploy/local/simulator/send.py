"""`POST /v2/sms/single_send.json`, as yunpian.com documents it (domestic_single_send)."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping

from tornado.iostream import IOStream
from tornado.web import RequestHandler

from deploy.local.simulator.account import Account, success
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.faults import Fault, Faults

_FORM = "application/x-www-form-urlencoded"
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_FOREVER_SECONDS = 600.0
# Close with a reset instead of an orderly end.
_ABORT = struct.pack("ii", 1, 0)


class SingleSend(RequestHandler):
    """Sends one text, unless a scripted fault comes between."""

    def initialize(self, account: Account, faults: Faults) -> None:
        """Take the account and the faults."""
        self._account = account
        self._faults = faults

    def get(self) -> None:
        """Refuse: only POST is supported."""
        self._answer(400, Refused(11).body)

    async def post(self) -> None:
        """Send a text."""
        form = self._form()
        mobile = form.get("mobile", "")
        if delay := self._faults.delay(mobile):
            await asyncio.sleep(delay)
        fault = self._faults.take(mobile)
        if fault is None:
            self._answer(*self._send(form))
        else:
            await self._fail(fault, form)

    def _form(self) -> Mapping[str, str]:
        if not self.request.headers.get("Content-Type", "").startswith(_FORM):
            return {}
        return {name: self.get_body_argument(name) for name in self.request.body_arguments}

    def _send(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        try:
            sent = self._account.accept(
                form.get("apikey", ""),
                form.get("mobile", ""),
                form.get("text", ""),
                self.request.remote_ip or "",
            )
        except Refused as refusal:
            self._account.answers[str(refusal.code)] += 1
            return 400, refusal.body
        self._account.answers["0"] += 1
        return 200, success(sent)

    async def _fail(self, fault: Fault, form: Mapping[str, str]) -> None:
        if fault.fault.startswith("accept_then_"):
            self._send(form)
        if fault.fault.endswith("hang"):
            await asyncio.sleep(_FOREVER_SECONDS)
        if fault.fault == "code":
            self._answer(400, Refused(fault.code).body)
        elif fault.fault.endswith(("bad_gateway_html", "bad_gateway")):
            self.set_status(502)
            self.set_header("Content-Type", "text/html")
            self.finish(_HTML)
        elif fault.fault == "empty_503":
            self.set_status(503)
            self.finish()
        else:
            self._close(reset=fault.fault == "reset")

    def _close(self, *, reset: bool) -> None:
        stream: IOStream = self.detach()
        if reset:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        stream.close()

    def _answer(self, status: int, body: Mapping[str, object]) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json;charset=utf-8")
        self.finish(json.dumps(body, ensure_ascii=False))
