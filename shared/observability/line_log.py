"""Log lines for hot paths: one for each request or message."""

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
    """Writes the lines of one event as structlog would, in a fifth of its time.

    JSON lines are buffered and written together after at most 50 ms, or by `flush`.

    Args:
        service: the service's name, in every line.
        event: name of the event.
        log_format: JSON lines, or console lines, which structlog writes.
        level: the minimum level that is written; the lines have level info.
    """

    def __init__(
        self, service: str, event: str, log_format: Literal["json", "console"], level: str = "info"
    ) -> None:
        self._service = service
        self._event = event
        self._buffers = log_format == "json" and level in {"debug", "info"}
        self._encode = json.JSONEncoder(ensure_ascii=False).encode
        self._lines: list[str] = []

    def write(self, line: dict[str, object]) -> None:
        """Write a line with these members; secrets are masked."""
        if self._buffers:
            self._buffer(redact(None, "info", line))
        else:
            log.info(self._event, **line)

    def flush(self) -> None:
        """Write the buffered lines."""
        sys.stdout.write("".join(self._lines))
        sys.stdout.flush()
        self._lines.clear()

    def _buffer(self, line: EventDict) -> None:
        line["event"] = self._event
        line["level"] = "info"
        line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line["service"] = self._service
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._lines.append(self._encode(line) + "\n")
