"""The HTTP side of every endpoint: JSON in, JSON or a problem document out, one log line each."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from tornado.web import HTTPError

from services.auth.http.body import check_content_type, parse
from services.auth.models import Caller, Client
from services.auth.sessions.callers import identify
from services.auth.wiring import Auth
from shared.errors import AppError, MethodNotAllowed, NotFound, Unavailable
from shared.http.problem_handler import ProblemHandler
from shared.observability.metrics import known_method
from shared.observability.tracing import Span, SpanKind
from shared.security.access_tokens import bearer_token

# Below the gateway's time limit, so that a client gets our answer and not its 504.
_HANDLER_SECONDS = 8.0
_USER_AGENT_LENGTH = 255
_METHODS = ("GET", "POST", "PATCH", "DELETE")

_Model = TypeVar("_Model", bound=BaseModel)

log = structlog.get_logger()


class JsonHandler(ProblemHandler):
    """Base of the handlers. A verb's work goes into `handle_<verb>`, which returns the answer or None.

    The route template (`route`) is what metrics and logs show instead of the path.
    """

    content_type = "application/json"
    # Whether answers without a problem are logged at level debug only, because they are many.
    quiet = False

    def initialize(self, auth: Auth, route: str) -> None:
        """Take the wired service and the route's template."""
        self.auth = auth
        self.route = route
        self._started = time.perf_counter()
        self._span = Span()
        auth.in_flight.enter()

    def set_default_headers(self) -> None:
        """Set what every answer carries; Tornado runs this again for errors."""
        super().set_default_headers()
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        """Bind the request id to everything that is logged for this request, and continue its trace."""
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self.request_id)
        self._span = self.auth.tracer.start_span(SpanKind.SERVER, "request", self.request.headers)
        self._span.attach()

    @property
    def client(self) -> Client:
        """Who asks; the gateway has put the address of its client into the header."""
        agent = self.request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH]
        address = self.request.headers.get("X-Forwarded-For", self.request.remote_ip or "")
        return Client(address, agent, self.request_id)

    @property
    def bearer_token(self) -> str | None:
        """The token of the Authorization header (RFC 6750 §2.1), or None."""
        return bearer_token(self.request.headers.get("Authorization"))

    async def caller(self) -> Caller:
        """Return who asks, by the access token.

        Raises:
            Unauthorized: there is no valid one, or its session has ended.
        """
        return await identify(self.bearer_token, tokens=self.auth.tokens, users=self.auth.users)

    def body(self, model: type[_Model]) -> _Model:
        """Return the validated request body."""
        check_content_type(self.request.headers.get("Content-Type", ""))
        return parse(self.request.body, model, self.auth.input_rules)

    async def get(self, *path: str) -> None:
        """Answer GET."""
        await self._answer("handle_get", *path)

    async def post(self, *path: str) -> None:
        """Answer POST."""
        await self._answer("handle_post", *path)

    async def patch(self, *path: str) -> None:
        """Answer PATCH."""
        await self._answer("handle_patch", *path)

    async def delete(self, *path: str) -> None:
        """Answer DELETE."""
        await self._answer("handle_delete", *path)

    async def _unsupported(self, *_path: str) -> None:
        raise self._method_not_allowed()

    head = put = options = _unsupported

    async def _answer(self, handle: str, *path: str) -> None:
        method = getattr(self, handle, None)
        if method is None:
            raise self._method_not_allowed()
        try:
            async with asyncio.timeout(_HANDLER_SECONDS):
                answer: BaseModel | None = await method(*path)
        except TimeoutError as error:
            raise Unavailable from error
        if answer is None:
            self._answer_nothing()
        else:
            self.finish(answer.model_dump_json())

    def _answer_nothing(self) -> None:
        self.set_status(HTTPStatus.NO_CONTENT)
        self.clear_header("Content-Type")
        self.finish()

    def _method_not_allowed(self) -> MethodNotAllowed:
        handled = [verb for verb in _METHODS if hasattr(self, f"handle_{verb.lower()}")]
        return MethodNotAllowed(handled)

    def as_app_error(self, error: BaseException) -> AppError:
        """Return what a client is told; Tornado itself refuses methods that it does not know."""
        if isinstance(error, HTTPError) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return self._method_not_allowed()
        return super().as_app_error(error)

    def on_finish(self) -> None:
        """Count and log the request."""
        self.auth.in_flight.leave()
        seconds = time.perf_counter() - self._started
        status = self.get_status()
        method = known_method(self.request.method)
        self.auth.http_metrics.observe(method, self.route, status, seconds)
        self._span.end_request(method, self.route, status, self.request_id)
        self._write_line(method, status, seconds)

    def _write_line(self, method: str, status: int, seconds: float) -> None:
        if not (self.quiet or self.auth.tracer.on):
            self.auth.access_log.write(self.request_id, method, self.route, status, seconds, self.problem)
            return
        # What structlog adds, the ids of the trace for instance, is worth its time here.
        details = {"problem": self.problem} if self.problem else {}
        write = log.debug if self.quiet and not self.problem else log.info
        ms = round(seconds * 1000, 2)
        write("request", method=method, route=self.route, status=status, ms=ms, **details)


# Route templates by path pattern; the templates are what metrics and logs show.
Routes = list[tuple[str, str, type[JsonHandler]]]


@contextmanager
def counted(outcomes: Counter, *what: str) -> Iterator[None]:
    """Count the block's outcome: done, or the slug of the problem; `what` are the labels before it."""
    try:
        yield
    except AppError as error:
        outcomes.labels(*what, error.slug).inc()
        raise
    outcomes.labels(*what, "done").inc()


class NotFoundHandler(JsonHandler):
    """Answers every path that no route matches."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        super().prepare()
        raise NotFound
