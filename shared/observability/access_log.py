"""The access log: one line per request."""

from typing import Literal

from shared.observability.line_log import LineLog


class AccessLog:
    """Writes a log line for each request.

    Args:
        service: the service's name, in every line.
        log_format: JSON or console lines.
        level: the minimum level that is written; the lines have level info.
    """

    def __init__(self, service: str, log_format: Literal["json", "console"], level: str = "info") -> None:
        self._lines = LineLog(service, "request", log_format, level)
        self.flush = self._lines.flush

    def write(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        seconds: float,
        problem: str,
        client: str = "",
    ) -> None:
        """Write the line of a request.

        Args:
            request_id: the request's id; clients can choose it.
            method: from a closed set.
            route: the route's template, not the path.
            status: the response's status.
            seconds: the duration.
            problem: the slug of the problem document, or an empty string.
            client: the keyed hash that stands for the client's address, or an empty string.
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
        if client:
            line["client"] = client
        self._lines.write(line)
