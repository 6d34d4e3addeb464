"""`POST /callbacks/yunpian/{secret}/`: receives status reports, answers `SUCCESS` once they are stored."""

import hmac
import time
from collections.abc import Sequence
from typing import Any

import structlog
from tornado.web import RequestHandler

from services.sms.provider.yunpian.reports import PUSH_MEMBERS, UnreadableReports, parse_push
from services.sms.reports.models import ReportBatch
from services.sms.reports.service import ReportService
from shared.clock import now
from shared.errors import InvalidRequest, MethodNotAllowed, NotFound, Unavailable
from shared.http.in_flight import InFlight
from shared.http.problem_handler import ProblemHandler
from shared.observability.metrics import HttpMetrics, known_method
from shared.redis.client import REDIS_FAILURES

Route = tuple[str, type[RequestHandler], dict[str, Any]]

# Logs and metrics show this instead of the path, which holds the secret.
_ROUTE = "/callbacks/yunpian/{secret}/"
_OTHER_ROUTE = "other"
_METHODS = ("POST",)
_ACKNOWLEDGED = "SUCCESS"

log = structlog.get_logger()


class Webhook:
    """What the handlers share.

    Args:
        secrets: each of them is accepted; none switches the webhook off.
        service: stores reports.
        metrics: counts the requests answered.
    """

    def __init__(self, secrets: Sequence[str], service: ReportService, metrics: HttpMetrics) -> None:
        self.service = service
        self.metrics = metrics
        self.in_flight = InFlight()
        self._secrets = secrets

    def accepts(self, secret: str) -> bool:
        """Return whether a secret is right, in a time that does not depend on it."""
        matches = [hmac.compare_digest(secret.encode(), known.encode()) for known in self._secrets]
        return any(matches)


def routes(webhook: Webhook) -> list[Route]:
    """Return the webhook's Tornado routes."""
    arguments = {"webhook": webhook, "route": _ROUTE}
    return [(r"/callbacks/yunpian/([A-Za-z0-9._~\-]+)/?", _YunpianHandler, arguments)]


class WebhookHandler(ProblemHandler):
    """Base of the handlers: logs one line without the path."""

    content_type = "text/plain; charset=utf-8"

    def initialize(self, webhook: Webhook, route: str = _OTHER_ROUTE) -> None:
        """Set the webhook, and the route's template."""
        self.webhook = webhook
        self.route = route
        self._started = time.perf_counter()
        webhook.in_flight.enter()

    def on_finish(self) -> None:
        """Count and log the request."""
        self.webhook.in_flight.leave()
        seconds = time.perf_counter() - self._started
        method = known_method(self.request.method)
        self.webhook.metrics.observe(method, self.route, self.get_status(), seconds)
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


class NotFoundHandler(WebhookHandler):
    """Answers paths that no route matches."""

    def prepare(self) -> None:
        """Raise `NotFound`, for any method."""
        raise NotFound


class _YunpianHandler(WebhookHandler):
    def prepare(self) -> None:
        """Check the secret before anything else; a wrong one gets the answer of an unknown path."""
        if not self.webhook.accepts(self.path_args[0]):
            raise NotFound
        if self.request.method not in _METHODS:
            raise MethodNotAllowed(_METHODS)

    async def post(self, _secret: str) -> None:
        """Store the reports and acknowledge them.

        While Redis is unavailable the answer is 503, and Yunpian pushes again, three times within a
        quarter of an hour. Nothing is acknowledged that is not stored.
        """
        batch = self._batch()
        try:
            await self.webhook.service.store(batch)
        except REDIS_FAILURES as error:
            log.warning("reports_not_stored", request_id=self.request_id, error=type(error).__name__)
            raise Unavailable from error
        self.finish(_ACKNOWLEDGED)

    def _batch(self) -> ReportBatch:
        values = [value for name in PUSH_MEMBERS for value in self.request.body_arguments.get(name, [])]
        try:
            if len(values) != 1:
                raise UnreadableReports("not exactly one form member with reports")
            # A detail in another encoding is not used and does not make a report unreadable.
            return parse_push(values[0].decode(errors="replace"), now())
        except UnreadableReports as error:
            log.warning("reports_unreadable", request_id=self.request_id, reason=str(error))
            raise InvalidRequest from error
