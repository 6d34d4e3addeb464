"""The HTTP side of every Tornado endpoint: a request id in each answer, errors as problem documents."""

from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from tornado.web import HTTPError, RequestHandler

from shared.errors import AppError, InternalError, InvalidRequest
from shared.http import problems, request_ids
from shared.i18n import negotiate

log = structlog.get_logger()


class ProblemHandler(RequestHandler):
    """Base of handlers that raise `AppError`s.

    Attributes:
        content_type: of the answers that are no problem.
        route: the route's template, which logs show instead of the path.
        request_id: the client's own where it is a sane token, else a new one.
        problem: the slug of the problem that is answered, or nothing.
    """

    content_type: ClassVar[str]
    route: str
    problem = ""

    def set_default_headers(self) -> None:
        """Set what every answer carries; Tornado runs this again for errors."""
        self.request_id: str = request_ids.accept_or_create(
            getattr(self, "request_id", None) or self.request.headers.get(request_ids.HEADER)
        )
        self.set_header(request_ids.HEADER, self.request_id)
        self.set_header("Content-Type", self.content_type)
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **details: Any) -> None:  # noqa: ANN401 - Tornado's
        """Render whatever was raised as a problem document."""
        error = self.as_app_error(details["exc_info"][1])
        self.problem = error.slug
        language = negotiate(self.request.headers.get("Accept-Language", ""))
        headers, body = problems.render(error, self.request_id, language)
        self.set_status(error.status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    def log_exception(self, _type: Any, value: Any, _traceback: Any) -> None:  # noqa: ANN401
        """Log defects with their trace; Tornado's own line would show the path."""
        if isinstance(self.as_app_error(value), InternalError):
            log.error("unhandled_error", route=self.route, exc_info=value)

    def as_app_error(self, error: BaseException) -> AppError:
        """Return what a client is told about an error; Tornado's own refusals are bad requests."""
        if isinstance(error, AppError):
            return error
        if isinstance(error, HTTPError) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return InvalidRequest()
        return InternalError()
