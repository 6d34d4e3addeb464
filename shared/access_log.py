"""One log line per request, cheap enough for the gateway's hot path."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Literal

import structlog

from shared.logs import redact_text

_FLUSH_SECONDS = 0.05

log = structlog.get_logger()


class AccessLog:
    """Writes the lines that `structlog` would write, in a fifth of its time.

    JSON lines are collected and written together, at the latest after 50 ms and at `flush`.

    Args:
        service: name that every line carries.
        form: JSON lines, or console lines, which go through structlog.
    """

    def __init__(self, service: str, form: Literal["json", "console"]) -> None:
        self._service = service
        self._collects = form == "json"
        self._encode = json.JSONEncoder(ensure_ascii=False).encode
        self._lines: list[str] = []

    def write(
        self, request_id: str, method: str, route: str, status: int, seconds: float, problem: str
    ) -> None:
        """Write the line of one request.

        Args:
            request_id: the request's id, which clients may choose.
            method: from a closed set.
            route: the route's template, not the path.
            status: the answer's status.
            seconds: how long it took.
            problem: the slug of the problem document, or nothing.
        """
        line: dict[str, object] = {
            "request_id": redact_text(request_id),
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        if problem:
            line["problem"] = problem
        if self._collects:
            self._collect(line)
        else:
            log.info("request", **line)

    def flush(self) -> None:
        """Write what has been collected."""
        sys.stdout.write("".join(self._lines))
        sys.stdout.flush()
        self._lines.clear()

    def _collect(self, line: dict[str, object]) -> None:
        line["event"] = "request"
        line["level"] = "info"
        line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line["service"] = self._service
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._lines.append(self._encode(line) + "\n")
