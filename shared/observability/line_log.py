"""Log lines that come with each request or message, cheap enough for hot paths."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Literal

import structlog
from structlog.typing import EventDict

from shared.observability.logs import redact

_FLUSH_SECONDS = 0.05

log = structlog.get_logger()


class LineLog:
    """Writes the lines of one event that `structlog` would write, in a fifth of its time.

    JSON lines are collected and written together, at the latest after 50 ms and at `flush`.

    Args:
        service: name that every line carries.
        event: name of the event.
        form: JSON lines, or console lines, which go through structlog.
        level: the least severe level that is written; the lines are of level info.
    """

    def __init__(
        self, service: str, event: str, form: Literal["json", "console"], level: str = "info"
    ) -> None:
        self._service = service
        self._event = event
        self._collects = form == "json" and level in {"debug", "info"}
        self._encode = json.JSONEncoder(ensure_ascii=False).encode
        self._lines: list[str] = []

    def write(self, line: dict[str, object]) -> None:
        """Write a line of these members, secrets masked."""
        if self._collects:
            self._collect(redact(None, "info", line))
        else:
            log.info(self._event, **line)

    def flush(self) -> None:
        """Write what has been collected."""
        sys.stdout.write("".join(self._lines))
        sys.stdout.flush()
        self._lines.clear()

    def _collect(self, line: EventDict) -> None:
        line["event"] = self._event
        line["level"] = "info"
        line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line["service"] = self._service
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._lines.append(self._encode(line) + "\n")
