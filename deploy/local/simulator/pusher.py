"""Push of status reports, as documented on yunpian.com (domestic_push_report, voicecode_voice_push)."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPError

from deploy.local.simulator.messages import Channel, Json, Message

_FIELDS: dict[Channel, str] = {"sms": "sms_status", "voice": "voice_status"}
_MAX_BATCH = 100
_MAX_RETRIES = 3
_TIMEOUT_SECONDS = 10.0
_BATCH_WINDOW_SECONDS = 0.02
_ACKNOWLEDGED = {(200, "SUCCESS"), (200, "0")}
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}

Target = tuple[str, Channel]


@dataclass(slots=True)
class ReportPusher:
    """Posts batches of reports until they are acknowledged, four times at most.

    Args:
        retry_seconds: time between two tries.
        log: the tries, each with the sids, its number and the response.
    """

    retry_seconds: float
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=1_000))
    _batches: dict[Target, list[Message]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def push(self, url: str, message: Message, delay: float) -> None:
        """Push the report of a message after `delay` seconds."""
        asyncio.get_running_loop().call_later(delay, self._add, (url, message.channel), message)

    def _add(self, target: Target, message: Message) -> None:
        if target not in self._batches:
            self._batches[target] = []
            asyncio.get_running_loop().call_later(_BATCH_WINDOW_SECONDS, self._flush, target)
        self._batches[target].append(message)

    def _flush(self, target: Target) -> None:
        messages = self._batches.pop(target)
        for first in range(0, len(messages), _MAX_BATCH):
            task = asyncio.create_task(self._deliver(target, messages[first : first + _MAX_BATCH]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, target: Target, batch: list[Message]) -> None:
        for attempt in range(1 + _MAX_RETRIES):
            if attempt:
                await asyncio.sleep(self.retry_seconds)
            if await self._post(target, batch, attempt):
                return

    async def _post(self, target: Target, batch: list[Message], attempt: int) -> bool:
        url, channel = target
        reports = json.dumps([message.to_report() for message in batch], ensure_ascii=False)
        status, body = await _fetch(url, urlencode({_FIELDS[channel]: reports}))
        acknowledged = (status, body.strip()) in _ACKNOWLEDGED
        self.log.append(
            {
                "sids": [message.sid for message in batch],
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
