"""Push of status reports and of replies (上行), as documented on yunpian.com.

Pages domestic_push_report, voicecode_voice_push, domestic_push_reply. Calls are reported in larger batches,
which real receivers have to decode twice.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPError

from deploy.local.simulator import quirks
from deploy.local.simulator.account import Account
from deploy.local.simulator.messages import Channel, Json, Message

_FIELDS: dict[Channel, str] = {"sms": "sms_status", "voice": "voice_status"}
_REPLY_FIELD = "sms_reply"
_MAX_BATCH: dict[Channel, int] = {"sms": 100, "voice": 500}
_MAX_RETRIES, _MAX_REPLY_RETRIES = 3, 5
_TIMEOUT_SECONDS = 10.0
_BATCH_WINDOW_SECONDS = 0.02
_ACKNOWLEDGED = {(200, "SUCCESS"), (200, "0")}
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    account: str
    channel: Channel


@dataclass(slots=True)
class ReportPusher:
    """Posts batches of reports until they are acknowledged, four times at most; replies six times.

    Args:
        retry_seconds: time between two tries.
        log: the tries, each with the sids, its number and the response.
    """

    retry_seconds: float
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=1_000))
    _batches: dict[_Target, list[Message]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def push(self, url: str, account: Account, message: Message, delay: float) -> None:
        """Push the report of a message after `delay` seconds."""
        target = _Target(url, account.name, message.channel)
        asyncio.get_running_loop().call_later(delay, self._add, target, account, message)

    def push_reply(self, url: str, reply: Json) -> None:
        """Push the answer of a phone to a text."""
        self._spawn(url, _REPLY_FIELD, json.dumps(reply, ensure_ascii=False), [], _MAX_REPLY_RETRIES)

    def _add(self, target: _Target, account: Account, message: Message) -> None:
        if target not in self._batches:
            self._batches[target] = []
            asyncio.get_running_loop().call_later(_BATCH_WINDOW_SECONDS, self._flush, target, account)
        self._batches[target].append(message)

    def _flush(self, target: _Target, account: Account) -> None:
        messages = self._batches.pop(target)
        size = _MAX_BATCH[target.channel]
        for first in range(0, len(messages), size):
            batch = messages[first : first + size]
            value = json.dumps(quirks.reports(batch, account), ensure_ascii=False)
            value = quote_plus(value) if target.channel == "voice" else value
            sids = [message.sid for message in batch]
            self._spawn(target.url, _FIELDS[target.channel], value, sids, _MAX_RETRIES)

    def _spawn(self, url: str, member: str, value: str, sids: list[int | str], retries: int) -> None:
        task = asyncio.create_task(self._deliver(url, urlencode({member: value}), sids, retries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, url: str, form: str, sids: list[int | str], retries: int) -> None:
        for attempt in range(1 + retries):
            if attempt:
                await asyncio.sleep(self.retry_seconds)
            if await self._post(url, form, sids, attempt):
                return

    async def _post(self, url: str, form: str, sids: list[int | str], attempt: int) -> bool:
        status, body = await _fetch(url, form)
        acknowledged = (status, body.strip()) in _ACKNOWLEDGED
        self.log.append(
            {
                "sids": sids,
                "kind": form.partition("=")[0],
                "try": attempt + 1,
                "status": status,
                "acknowledged": acknowledged,
                "at": datetime.now(UTC).isoformat(),
            }
        )
        return acknowledged


async def _fetch(url: str, body: str) -> tuple[int, str]:
    """Post a form and return the response's status and body; the status is 0 without a response."""
    client = AsyncHTTPClient()
    try:
        response = await client.fetch(
            url,
            method="POST",
            headers=_HEADERS,
            body=body,
            request_timeout=_TIMEOUT_SECONDS,
            raise_error=False,
        )
    except (HTTPError, OSError, ValueError):  # no connection, a timeout, a malformed URL
        return 0, ""
    return response.code, response.body.decode(errors="replace")
