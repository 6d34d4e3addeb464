"""Base of the Tornado handlers: a request id in each response, errors as problem documents."""

from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from tornado.web import HTTPError, RequestHandler

from shared.errors import AppError, InternalError, InvalidRequest
from shared.http import etags, problems, request_ids, security_headers
from shared.i18n import negotiate

log = structlog.get_logger()


class ProblemHandler(RequestHandler):
    """Base of handlers that raise `AppError`.

    Attributes:
        content_type: of responses that are not problem documents.
        route: the route's template, logged instead of the path.
        request_id: the client's, if it is a valid token, else a new one.
        problem: the slug of the problem document that was sent, or an empty string.
    """

    content_type: ClassVar[str]
    route: str
    problem = ""

    def set_default_headers(self) -> None:
        """Set the headers of every response; Tornado calls this again for errors."""
        self.request_id: str = request_ids.accept_or_create(
            getattr(self, "request_id", None) or self.request.headers.get(request_ids.HEADER)
        )
        self.set_header(request_ids.HEADER, self.request_id)
        self.set_header("Content-Type", self.content_type)
        self.set_header("Cache-Control", "no-store")
        for name, value in security_headers.STRICT.items():
            self.set_header(name, value)
        self.clear_header("Server")

    def check_etag_header(self) -> bool:
        """Tornado: return whether the client has the response already, so that it gets a 304."""
        etag = self._headers.get("Etag")
        return etag is not None and etags.matches(self.request.headers.get("If-None-Match", ""), etag)

    def write_error(self, status_code: int, **details: Any) -> None:  # noqa: ANN401 - Tornado's
        """Render an exception as a problem document."""
        error = self.as_app_error(details["exc_info"][1])
        self.problem = error.slug
        language = negotiate(self.request.headers.get("Accept-Language", ""))
        headers, body = problems.render(error, self.request_id, language)
        self.set_status(error.status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    def log_exception(self, _type: Any, value: Any, _traceback: Any) -> None:  # noqa: ANN401
        """Log defects with their traceback; Tornado's own log line would contain the path."""
        if isinstance(self.as_app_error(value), InternalError):
            log.error("unhandled_error", route=self.route, exc_info=value)

    def as_app_error(self, error: BaseException) -> AppError:
        """Return the error that the client sees; Tornado's 4xx errors become invalid requests."""
        if isinstance(error, AppError):
            return error
        if isinstance(error, HTTPError) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return InvalidRequest()
        return InternalError()
