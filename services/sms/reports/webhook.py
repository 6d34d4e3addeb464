"""`POST /callbacks/yunpian/{secret}/`: receives status reports, answers `SUCCESS` once they are stored.

Anybody can reach it. The secret is checked when the head of a request is there: a body with a wrong one is
read and dropped, and nothing is parsed before the check.
"""

import asyncio
import hmac
import time
from collections.abc import Sequence
from typing import Any

import structlog
from tornado.escape import parse_qs_bytes
from tornado.web import RequestHandler, stream_request_body

from services.sms.provider.yunpian.reports import PUSH_MEMBERS, REPLY_MEMBER, UnreadableReports, parse_push
from services.sms.reports.models import ReportBatch
from services.sms.reports.service import ReportService
from shared.clock import now
from shared.errors import InvalidRequest, MethodNotAllowed, NotFound, Unavailable
from shared.http.content_type import media_type
from shared.http.in_flight import InFlight
from shared.http.methods import allow
from shared.http.problem_handler import ProblemHandler
from shared.observability.metrics import HttpMetrics, known_method
from shared.redis.client import REDIS_FAILURES

Route = tuple[str, type[RequestHandler], dict[str, Any]]

# Logs and metrics show this instead of the path, which holds the secret.
_ROUTE = "/callbacks/yunpian/{secret}/"
_OTHER_ROUTE = "other"
_CLIENT_CLOSED_REQUEST = 499  # nginx's status for it
_METHODS = ("POST",)
_ACKNOWLEDGED = "SUCCESS"
_FORM = "application/x-www-form-urlencoded"
_MAX_FORM_MEMBERS = 16
# Larger ones are parsed in a thread. Yunpian pushes up to 100 texts at once, and 500 voice calls.
_LARGE_BODY_BYTES = 32 * 1024

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
    return [(r"/callbacks/yunpian/([A-Za-z0-9._~\-]{1,128})/?", _YunpianHandler, arguments)]


@stream_request_body
class WebhookHandler(ProblemHandler):
    """Base of the handlers: drops bodies unless told otherwise, and logs one line without the path."""

    content_type = "text/plain; charset=utf-8"

    def initialize(self, webhook: Webhook, route: str = _OTHER_ROUTE) -> None:
        """Set the webhook, and the route's template."""
        self.webhook = webhook
        self.route = route
        self._receiving = True
        self._started = time.perf_counter()
        webhook.in_flight.enter()

    def data_received(self, chunk: bytes) -> None:
        """Drop a part of the body."""

    async def answer(self, *path: str) -> None:
        """Answer any method, once the body is there: a client that still sends could lose the answer."""
        raise NotFound

    async def _answer(self, *path: str) -> None:
        self._receiving = False
        await self.answer(*path)

    get = head = post = put = patch = delete = options = _answer

    def on_connection_close(self) -> None:
        """Count a request whose client has gone while it was sending; Tornado calls nothing else then."""
        super().on_connection_close()
        if self._receiving:
            error = getattr(self.request.connection, "error", None)  # the answer that it was given
            self.set_status(error.status if error else _CLIENT_CLOSED_REQUEST, "Client Closed Request")
            self.on_finish()

    def on_finish(self) -> None:
        """Count and log the request."""
        self._receiving = False
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


class _YunpianHandler(WebhookHandler):
    def prepare(self) -> None:
        """Check the secret before anything else; a wrong one gets the answer of an unknown path."""
        self._accepted = self.webhook.accepts(self.path_args[0])
        self._body = bytearray()

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body where the secret is right."""
        if self._accepted:
            self._body += chunk

    async def answer(self, *path: str) -> None:
        """Store the reports and acknowledge them; replies from phones are acknowledged and dropped.

        While Redis is unavailable the answer is 503, and Yunpian pushes again, three times within a
        quarter of an hour. Nothing is acknowledged that is not stored.
        """
        if not self._accepted:
            raise NotFound
        if self.request.method == "OPTIONS":
            self.set_status(204)
            self.clear_header("Content-Type")
            self.set_header("Allow", allow(_METHODS))
            return
        if self.request.method not in _METHODS:
            raise MethodNotAllowed(_METHODS)
        batch = await self._batch()
        try:
            await self.webhook.service.store(batch)
        except REDIS_FAILURES as error:
            log.warning("reports_not_stored", request_id=self.request_id, error=type(error).__name__)
            raise Unavailable from error
        self.finish(_ACKNOWLEDGED)

    async def _batch(self) -> ReportBatch:
        is_form = media_type(self.request.headers.get("Content-Type", "")) == _FORM
        body = bytes(self._body) if is_form else b""
        try:
            if len(body) > _LARGE_BODY_BYTES:
                return await asyncio.to_thread(_parse, body)
            return _parse(body)
        except UnreadableReports as error:
            log.warning("reports_unreadable", request_id=self.request_id, reason=str(error))
            raise InvalidRequest from error


def _parse(body: bytes) -> ReportBatch:
    try:
        form = parse_qs_bytes(body, keep_blank_values=True, max_num_fields=_MAX_FORM_MEMBERS)
    except ValueError as error:
        raise UnreadableReports("too many form members") from error
    values = [value for name in PUSH_MEMBERS for value in form.get(name, [])]
    if not values and REPLY_MEMBER in form:
        return ReportBatch([], replies=len(form[REPLY_MEMBER]))
    if len(values) != 1:
        raise UnreadableReports("not exactly one form member with reports")
    # A detail in another encoding is not used and does not make a report unreadable.
    return parse_push(values[0].decode(errors="replace"), now())
