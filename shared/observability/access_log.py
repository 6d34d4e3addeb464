"""One log line per request."""

from typing import Literal

from shared.observability.line_log import LineLog


class AccessLog:
    """Writes the lines of requests, collected for a moment.

    Args:
        service: name that every line carries.
        form: JSON lines, or console lines.
        level: the least severe level that is written; the lines are of level info.
    """

    def __init__(self, service: str, form: Literal["json", "console"], level: str = "info") -> None:
        self._lines = LineLog(service, "request", form, level)
        self.flush = self._lines.flush

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
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        if problem:
            line["problem"] = problem
        self._lines.write(line)
