"""Yunpian's `single_send` (v2), which it names as the call for codes.

Source: yunpian.com/official/document/sms/en/domestic_single_send and returnvalue_common.
"""

import json
import time
from datetime import datetime
from typing import Any

import aiohttp
import structlog

from services.sms.ports import UNKNOWN, Announce, Answer, Filtered, Found, Outgoing, Verdict
from shared.metrics import SmsMetrics

_NAME = "yunpian"
_PATH = "/v2/sms/single_send.json"
_CONNECT_SECONDS = 3.0
_READ_SECONDS = 8.0
_ACCEPTED = 0
# Too often for the number or the text: 30 s, 5 min, an hour, a day (classes L of the code table).
_LIMITS = frozenset({8, 9, 17, 22, 33, 43, 53})
# Those that speak of the same text.
_SAME_TEXT = frozenset({8, 9})

log = structlog.get_logger()


class Yunpian:
    """One Yunpian account over kept-alive connections.

    Args:
        session: as `new_session` makes it.
        base_url: scheme and host of the API.
        api_key: the account's key; it travels as a form member, so bodies are never logged.
        metrics: counts answers.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, api_key: str, metrics: SmsMetrics
    ) -> None:
        self._session = session
        self._url = base_url + _PATH
        self._api_key = api_key
        self._metrics = metrics

    @property
    def accounts(self) -> tuple[str]:
        """The one account."""
        return (_NAME,)

    async def send(self, message: Outgoing, announce: Announce, *, only_account: str | None = None) -> Answer:
        """Send one message; every failure is an answer, none is raised."""
        started = time.perf_counter()
        answer = await self._send(message.mobile, message.text)
        self._metrics.provider_seconds.labels(_NAME).observe(time.perf_counter() - started)
        return answer

    async def find(self, account: str, mobile: str, text: str, since: datetime) -> Found:
        """Answer that nobody knows: this client does not look up."""
        return UNKNOWN

    async def _send(self, mobile: str, text: str) -> Answer:
        form = {"apikey": self._api_key, "mobile": mobile, "text": text}
        try:
            async with self._session.post(self._url, data=form) as response:
                return self._read(response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return self._failed(Verdict.RETRY, type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # A timeout does not mean failure: the message may have been accepted.
            return self._failed(Verdict.AMBIGUOUS, type(error).__name__)

    def _read(self, status: int, body: bytes) -> Answer:
        """Judge by the JSON body: refusals come with status 400, and gateways answer HTML."""
        document = _json_object(body)
        code = document.get("code")
        if not isinstance(code, int):
            return self._failed(Verdict.AMBIGUOUS, f"http {status}")
        verdict = _verdict(code)
        self._metrics.provider_answers.labels(_NAME, str(code), verdict).inc()
        if verdict is Verdict.ACCEPTED:
            return Answer(verdict, str(code), _NAME, str(document.get("sid", "")))
        return Answer(verdict, str(code), _NAME, filtered=_filtered(code))

    def _failed(self, verdict: Verdict, what: str) -> Answer:
        self._metrics.provider_answers.labels(_NAME, what, verdict).inc()
        return Answer(verdict, what, _NAME)


def new_session(concurrency: int) -> aiohttp.ClientSession:
    """Return an HTTP session with the pipeline's time limits, one connection per message in work."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency),
        timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS),
        headers={"Accept": "application/json;charset=utf-8"},
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _verdict(code: int) -> Verdict:
    if code == _ACCEPTED:
        return Verdict.ACCEPTED
    return Verdict.LIMITED if code in _LIMITS else Verdict.PERMANENT


def _filtered(code: int) -> Filtered:
    if code in _SAME_TEXT:
        return Filtered.STRONG
    return Filtered.WEAK if code in _LIMITS else Filtered.NO
