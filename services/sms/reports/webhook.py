"""`POST /callbacks/yunpian/{secret}/`: status reports in, `SUCCESS` out once they are stored."""

import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from tornado.web import RequestHandler

from services.sms.provider.yunpian.reports import PUSH_MEMBERS, UnreadableReports, read_push
from services.sms.reports.service import Batch
from shared.clock import now
from shared.errors import InvalidRequest, MethodNotAllowed, NotFound, Unavailable
from shared.http.in_flight import InFlight
from shared.http.problem_handler import ProblemHandler
from shared.observability.metrics import HttpMetrics, known_method
from shared.redis.client import REDIS_FAILURES

Route = tuple[str, type[RequestHandler], dict[str, Any]]

# What logs and metrics show instead of the path, which holds the secret.
_ROUTE = "/callbacks/yunpian/{secret}/"
_OTHER_ROUTE = "other"
_METHODS = ("POST",)
_ACKNOWLEDGED = "SUCCESS"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the handlers need.

    Attributes:
        secrets: any of them opens; none switches the callback off.
        take: stores reports.
        metrics: counts the requests answered.
        in_flight: counts the requests being answered.
    """

    secrets: Sequence[str]
    take: Callable[[Batch], Awaitable[None]]
    metrics: HttpMetrics
    in_flight: InFlight = field(default_factory=InFlight)

    def opens(self, secret: str) -> bool:
        """Tell whether a secret is right, in a time that does not depend on how much of it is."""
        matches = [hmac.compare_digest(secret.encode(), known.encode()) for known in self.secrets]
        return any(matches)


def routes(callbacks: Callbacks) -> list[Route]:
    """Return the Tornado routes of the callbacks."""
    arguments = {"callbacks": callbacks, "route": _ROUTE}
    return [(r"/callbacks/yunpian/([A-Za-z0-9._~\-]+)/?", _YunpianStatus, arguments)]


class CallbackHandler(ProblemHandler):
    """Base of the handlers: one log line without the path."""

    content_type = "text/plain; charset=utf-8"

    def initialize(self, callbacks: Callbacks, route: str = _OTHER_ROUTE) -> None:
        """Take what the handlers need, and the route's template."""
        self.callbacks = callbacks
        self.route = route
        self._started = time.perf_counter()
        callbacks.in_flight.enter()

    def on_finish(self) -> None:
        """Count and log the request."""
        self.callbacks.in_flight.leave()
        seconds = time.perf_counter() - self._started
        method = known_method(self.request.method)
        self.callbacks.metrics.observe(method, self.route, self.get_status(), seconds)
        details = {"problem": self.problem} if self.problem else {}
        log.info(
            "request",
            request_id=self.request_id,
            method=method,
            route=self.route,
            status=self.get_status(),
            ms=round(seconds * 1000, 2),
            **details,
        )


class NotFoundHandler(CallbackHandler):
    """Answers every path that no route matches."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        raise NotFound


class _YunpianStatus(CallbackHandler):
    def prepare(self) -> None:
        """Refuse a wrong secret before anything else, as if there were nothing."""
        if not self.callbacks.opens(self.path_args[0]):
            raise NotFound
        if self.request.method not in _METHODS:
            raise MethodNotAllowed(_METHODS)

    async def post(self, _secret: str) -> None:
        """Store the reports and acknowledge them.

        A failure of Redis is answered with 503: Yunpian then comes again, three times in a quarter of
        an hour. Nothing is acknowledged that is not stored.
        """
        batch = self._batch()
        try:
            await self.callbacks.take(batch)
        except REDIS_FAILURES as error:
            log.warning("reports_not_stored", request_id=self.request_id, error=type(error).__name__)
            raise Unavailable from error
        self.finish(_ACKNOWLEDGED)

    def _batch(self) -> Batch:
        values = [value for name in PUSH_MEMBERS for value in self.request.body_arguments.get(name, [])]
        try:
            if len(values) != 1:
                raise UnreadableReports("not exactly one form member with reports")
            # A detail in another encoding, which nobody reads, does not make a report unreadable.
            return read_push(values[0].decode(errors="replace"), now())
        except UnreadableReports as error:
            log.warning("reports_unreadable", request_id=self.request_id, reason=str(error))
            raise InvalidRequest from error
