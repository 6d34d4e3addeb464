"""The base of the endpoints: JSON in, JSON or a problem document out, one log line each."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast

import structlog
from pydantic import BaseModel
from tornado.web import HTTPError

from services.auth.deadline import time_limit
from services.auth.errors import TooLate
from services.auth.http.body import parse
from services.auth.http.fields import ValidationContext
from services.auth.http.gateway_trust import GatewayTrust, client_address
from services.auth.models import Caller, Client
from shared.errors import (
    AppError,
    InvalidRequest,
    MethodNotAllowed,
    Unavailable,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
)
from shared.http import deadline, request_ids
from shared.http.content_type import check_content
from shared.http.deadline import DeadlineReader, has_been_closed
from shared.http.header_text import as_text
from shared.http.in_flight import InFlight
from shared.http.methods import allow
from shared.http.problem_handler import ProblemHandler
from shared.http.request_connection import RequestConnection
from shared.networks import canonical
from shared.observability.access_log import AccessLog
from shared.observability.metrics import HttpMetrics, known_method
from shared.observability.tracing import OFF, Span, SpanKind, Tracer
from shared.security.access_tokens import bearer_token

# Below the gateway's time limit, so that a client gets this answer and not the gateway's 504.
_HANDLER_SECONDS = 8.0
_SLOW_SECONDS = 1.0
_USER_AGENT_LENGTH = 255
_OPERATION = "operation"
_METHODS = ("GET", "POST", "PATCH", "DELETE")  # as `handle_<method>`; HEAD and OPTIONS go with them
_SAFE_METHODS = ("GET", "HEAD")

_Model = TypeVar("_Model", bound=BaseModel)
_Method = TypeVar("_Method", bound=Callable[..., Any])
Service = TypeVar("Service")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Operation:
    """The description of one method of one path; decorates its `handle_<method>`.

    Attributes:
        tag: the group that it is shown in.
        request: the model of the request's body.
        problems: its own errors, beside those that every operation of its kind has.
        signed_in: whether it requires an access token.
        note: what a user of the API has to know beside the summary.
        token_or_body: whether a body may take the place of the access token.
    """

    tag: str
    request: type[BaseModel] | None = None
    problems: tuple[type[AppError], ...] = ()
    signed_in: bool = False
    note: str = ""
    token_or_body: bool = False

    def __call__(self, method: _Method) -> _Method:
        """Attach the description to a method and return it."""
        setattr(method, _OPERATION, self)
        return method

    @staticmethod
    def of(method: Callable[..., Any]) -> "Operation":
        """Return the description of a decorated method.

        Raises:
            AttributeError: the method is not decorated.
        """
        described: Operation = getattr(method, _OPERATION)
        return described


@dataclass(frozen=True, slots=True)
class HttpContext:
    """What all endpoints share.

    Attributes:
        authenticate: returns the user of an access token, or raises `Unauthorized`.
        charge: counts a request that may change something, or raises `TooManyRequests`.
        validation: the settings that the validation of input depends on.
        access_log: takes the line of each request.
        metrics: counts and times requests.
        tracer: records spans.
        in_flight: the number of requests that are being answered.
        gateways: recognises the gateway's requests.
        deadlines: tells how long the gateway waits.
        pseudonym: returns what stands for a client's address in log lines.
    """

    authenticate: Callable[[str | None], Awaitable[Caller]]
    charge: Callable[[Caller], Awaitable[None]]
    validation: ValidationContext
    access_log: AccessLog
    metrics: HttpMetrics
    tracer: Tracer = OFF
    in_flight: InFlight = field(default_factory=InFlight)
    gateways: GatewayTrust = field(default_factory=GatewayTrust)
    deadlines: DeadlineReader = field(default_factory=DeadlineReader)
    pseudonym: Callable[[str], str] = lambda _: ""


class JsonHandler(ProblemHandler, Generic[Service]):
    """Base of the endpoints, each on one service.

    A method is implemented as `handle_<method>`, which returns the answer, or None for 204.

    Attributes:
        service: the domain's service.
        route: the template of the path, which metrics and logs show instead of the path.
    """

    content_type = "application/json"
    # Whether requests are routine: logged at level debug only, unless they fail or are slow.
    quiet = False

    def initialize(self, context: HttpContext, route: str, service: Service) -> None:
        """Take what `routes.make_application` gives to each endpoint."""
        self.service = service
        self.route = route
        self._context = context
        self._started = time.perf_counter()
        self._span = Span()
        self._from_gateway = context.gateways.trusts(self.request.headers, self.request.remote_ip or "")
        self._pseudonym = ""
        context.in_flight.enter()

    def prepare(self) -> None:
        """Bind the request id to the log lines of this request, and continue its trace.

        Both are the gateway's; those of a stranger are replaced.
        """
        if not self._from_gateway:
            self.request_id = request_ids.accept_or_create(None)
            self.set_header(request_ids.HEADER, self.request_id)
        structlog.contextvars.clear_contextvars()
        self._pseudonym = self._context.pseudonym(canonical(self.client.ip))
        structlog.contextvars.bind_contextvars(request_id=self.request_id, client=self._pseudonym)
        carrier = self.request.headers if self._from_gateway else {}
        self._span = self._context.tracer.start_span(SpanKind.SERVER, "request", carrier)
        self._span.attach()

    @cached_property
    def client(self) -> Client:
        """The client of the request; the gateway puts its address into X-Forwarded-For.

        It is the peer of the connection if the request is not the gateway's, or the header is no address.
        """
        agent = as_text(self.request.headers.get("User-Agent", ""))[:_USER_AGENT_LENGTH]
        forwarded = self.request.headers.get("X-Forwarded-For") if self._from_gateway else None
        return Client(client_address(forwarded, self.request.remote_ip or ""), agent, self.request_id)

    async def caller(self) -> Caller:
        """Return the user of the request's access token (RFC 6750 §2.1).

        A request that may change something is counted, before anything else is done.

        Raises:
            Unauthorized: there is no valid token, or its session has ended.
            TooManyRequests: the account has been changed too often.
        """
        token = bearer_token(self.request.headers.get("Authorization"))
        caller = await self._context.authenticate(token)
        if self.request.method not in _SAFE_METHODS:
            await self._context.charge(caller)
        return caller

    def body(self, model: type[_Model]) -> _Model:
        """Return the validated request body."""
        check_content(self.request.headers)
        return parse(self.request.body, model, self._context.validation)

    async def get(self, *path: str) -> None:
        """Answer GET."""
        await self._answer("handle_get", *path)

    head = get  # Tornado leaves the body out, and keeps its length

    async def options(self, *_path: str) -> None:
        """Answer OPTIONS: say which methods there are."""
        self.set_header("Allow", allow(self._handled()))
        self._answer_nothing()

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

    put = _unsupported

    async def _answer(self, handle: str, *path: str) -> None:
        method = getattr(self, handle, None)
        if method is None:
            raise self._method_not_allowed()
        try:
            async with time_limit(self._seconds()):
                answer: BaseModel | None = await method(*path)
        except TimeoutError as error:
            raise Unavailable from error
        if answer is None:
            self._answer_nothing()
        else:
            self.finish(answer.model_dump_json())

    def _seconds(self) -> float:
        """Return how long the request may take, less than its gateway waits.

        Raises:
            TooLate: the gateway has given it up.
        """
        header = self.request.headers.get(deadline.HEADER) if self._from_gateway else None
        connection = cast("RequestConnection", self.request.connection)
        remaining = self._context.deadlines.remaining(header, lambda: has_been_closed(connection.stream))
        if remaining == 0:
            raise TooLate
        return _HANDLER_SECONDS if remaining is None else min(_HANDLER_SECONDS, remaining)

    def _answer_nothing(self) -> None:
        self.set_status(HTTPStatus.NO_CONTENT)
        self.clear_header("Content-Type")
        self.finish()

    def _method_not_allowed(self) -> MethodNotAllowed:
        return MethodNotAllowed(self._handled())

    def _handled(self) -> list[str]:
        return [verb for verb in _METHODS if hasattr(self, f"handle_{verb.lower()}")]

    def as_app_error(self, error: BaseException) -> AppError:
        """Return the error to render; Tornado itself refuses unknown methods and multipart forms."""
        if isinstance(error, HTTPError) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return self._method_not_allowed()
        if isinstance(error, HTTPError) and error.status_code == HTTPStatus.BAD_REQUEST:
            return self._bad_request()
        return super().as_app_error(error)

    def _bad_request(self) -> AppError:
        try:
            check_content(self.request.headers)
        except (UnsupportedContentEncoding, UnsupportedMediaType) as error:
            return error
        return InvalidRequest()

    def on_finish(self) -> None:
        """Count and log the request."""
        self._context.in_flight.leave()
        seconds = time.perf_counter() - self._started
        status = self.get_status()
        method = known_method(self.request.method)
        self._context.metrics.observe(method, self.route, status, seconds)
        self._span.end_request(method, self.route, status, self.request_id)
        self._write_line(method, status, seconds)

    def _write_line(self, method: str, status: int, seconds: float) -> None:
        quiet = self.quiet and not self.problem and seconds < _SLOW_SECONDS
        if not (quiet or self._context.tracer.on):
            self._context.access_log.write(
                self.request_id, method, self.route, status, seconds, self.problem, self._pseudonym
            )
            return
        # structlog adds the ids of the trace, for instance, at the price of its time.
        details = {"problem": self.problem} if self.problem else {}
        write = log.debug if quiet else log.info
        ms = round(seconds * 1000, 2)
        write("request", method=method, route=self.route, status=status, ms=ms, **details)


# Pattern of the path, template of the path, and endpoint.
Routes = list[tuple[str, str, type[JsonHandler[Any]]]]
