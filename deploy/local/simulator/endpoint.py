"""What Yunpian's endpoints have in common: a form in, JSON out, scripted faults in between."""

import asyncio
import json
import socket
import struct
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from tornado.iostream import IOStream
from tornado.web import RequestHandler

from deploy.local.simulator import faults
from deploy.local.simulator.account import Account
from deploy.local.simulator.codes import Refused
from deploy.local.simulator.faults import Fault
from deploy.local.simulator.parts import Parts

Form = Mapping[str, str]

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json;charset=utf-8"
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_FOREVER_SECONDS = 600.0
# Close with a reset instead of an orderly end.
_ABORT = struct.pack("ii", 1, 0)


class YunpianEndpoint(RequestHandler):
    """Answers 200 with what `perform` returns, 400 with what it refuses, unless a fault comes between."""

    name: ClassVar[faults.Endpoint]

    def initialize(self, parts: Parts) -> None:
        """Take the simulator's parts."""
        self.parts = parts

    @abstractmethod
    def perform(self, account: Account, form: Form) -> object:
        """Do what the endpoint is for and return the answer's JSON.

        Raises:
            Refused: with Yunpian's code.
        """

    def get(self) -> None:
        """Refuse: only POST is supported."""
        self._answer(400, Refused(11).body)

    async def post(self) -> None:
        """Answer a form."""
        form = self._form()
        account = self.parts.accounts.known(form.get("apikey", ""))
        whom = (self.name, account.name if account else "", form.get("mobile", ""))
        if delay := faults.take_delay(self.parts.faults, *whom):
            await asyncio.sleep(delay)
        fault = faults.take_fault(self.parts.faults, *whom)
        if fault is None:
            self._answer(*self._perform(form))
        else:
            await self._fail(fault, form)

    def _form(self) -> Form:
        if not self.request.headers.get("Content-Type", "").startswith(_FORM):
            return {}
        return {name: self.get_body_argument(name) for name in self.request.body_arguments}

    def _perform(self, form: Form) -> tuple[int, object]:
        try:
            account = self.parts.accounts.caller(form.get("apikey", ""), self.request.remote_ip or "")
            return 200, self.perform(account, form)
        except Refused as refusal:
            return 400, refusal.body

    async def _fail(self, fault: Fault, form: Form) -> None:
        kind = fault.fault.removeprefix("accept_then_")
        if kind != fault.fault:
            self._perform(form)
        match kind:
            case "code":
                self._answer(400, Refused(fault.code, fault.detail or form.get("mobile", "")).body)
            case "bad_gateway" | "bad_gateway_html":
                self.set_status(502)
                self.set_header("Content-Type", "text/html")
                self.finish(_HTML)
            case "empty_503":
                self.set_status(503)
                self.finish()
            case "slow_read":
                await self._answer_slowly(*self._perform(form), fault.seconds)
            case "hang":
                await asyncio.sleep(_FOREVER_SECONDS)
                self._close(reset=False)
            case _:
                self._close(reset=kind == "reset")

    def _close(self, *, reset: bool) -> None:
        stream: IOStream = self.detach()
        if reset:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        stream.close()

    def _answer(self, status: int, body: object) -> None:
        self._count(body)
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.finish(json.dumps(body, ensure_ascii=False))

    async def _answer_slowly(self, status: int, body: object, seconds: float) -> None:
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
        """Note which code a known account was answered; success without a code is 0."""
        account = self.parts.accounts.known(self._form().get("apikey", ""))
        if account is not None:
            code = body.get("code", 0) if isinstance(body, dict) else 0
            account.answers[str(code)] += 1
