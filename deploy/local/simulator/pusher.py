"""Pushing status reports, as yunpian.com documents it (domestic_push_report, voicecode_voice_push)."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPError

from deploy.local.simulator.messages import Channel, Json, Sent

_MEMBERS: dict[Channel, str] = {"sms": "sms_status", "voice": "voice_status"}
_MOST_REPORTS = 100
_RETRIES = 3
_TIMEOUT_SECONDS = 10.0
_GATHER_SECONDS = 0.02  # so that reports that become known together go together
_ACKNOWLEDGED = {(200, "SUCCESS"), (200, "0")}
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}

Target = tuple[str, Channel]


@dataclass(slots=True)
class Pusher:
    """Posts reports until they are acknowledged, four times at most.

    Args:
        retry_seconds: between the tries.
        log: what was posted: the sids, which try it was, how it was answered.
    """

    retry_seconds: float
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=1_000))
    _ready: dict[Target, list[Sent]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def push(self, url: str, sent: Sent, delay: float) -> None:
        """Push the report of a message after `delay` seconds."""
        asyncio.get_running_loop().call_later(delay, self._add, (url, sent.channel), sent)

    def _add(self, target: Target, sent: Sent) -> None:
        if target not in self._ready:
            self._ready[target] = []
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._flush, target)
        self._ready[target].append(sent)

    def _flush(self, target: Target) -> None:
        ready = self._ready.pop(target)
        for first in range(0, len(ready), _MOST_REPORTS):
            task = asyncio.create_task(self._deliver(target, ready[first : first + _MOST_REPORTS]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, target: Target, batch: list[Sent]) -> None:
        for number in range(1 + _RETRIES):
            if number:
                await asyncio.sleep(self.retry_seconds)
            if await self._post(target, batch, number):
                return

    async def _post(self, target: Target, batch: list[Sent], number: int) -> bool:
        url, channel = target
        form = {_MEMBERS[channel]: json.dumps([sent.report_form() for sent in batch], ensure_ascii=False)}
        status, answer = await _fetch(url, urlencode(form))
        acknowledged = (status, answer.strip()) in _ACKNOWLEDGED
        self.log.append(
            {
                "sids": [sent.sid for sent in batch],
                "try": number + 1,
                "status": status,
                "acknowledged": acknowledged,
                "at": datetime.now(UTC).isoformat(),
            }
        )
        return acknowledged


async def _fetch(url: str, body: str) -> tuple[int, str]:
    """Post a form; return status and body of the answer, 0 where there is none."""
    client = AsyncHTTPClient()
    try:
        answer = await client.fetch(
            url,
            method="POST",
            headers=_HEADERS,
            body=body,
            request_timeout=_TIMEOUT_SECONDS,
            raise_error=False,
        )
    except (HTTPError, OSError, ValueError):  # no connection, no answer in time, no URL
        return 0, ""
    return answer.code, answer.body.decode(errors="replace")
