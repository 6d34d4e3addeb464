"""The gateway's static pages: a start page, the OpenAPI document, and Swagger UI.

They are an `Upstream` in the route table, so that they add nothing to the path of forwarded requests.
"""

import hashlib
import mimetypes
from functools import cache
from http import HTTPStatus
from pathlib import Path

from swagger_ui_bundle import swagger_ui_path
from tornado.httputil import HTTPHeaders, parse_request_start_line

from services.gateway.operations import Operations
from services.gateway.upstream.request import Headers, UpstreamRequest
from shared.errors import AppError, MethodNotAllowed, NotFound
from shared.http import etags, problems, request_ids, security_headers
from shared.i18n import negotiate

_PAGES = Path(__file__).with_name("pages")
OPENAPI = _PAGES / "openapi.json"
_SWAGGER = Path(str(swagger_ui_path))
_FILES = {
    "/": _PAGES / "index.html",
    "/openapi.json": OPENAPI,
    "/docs": _PAGES / "docs.html",
    "/docs/docs.js": _PAGES / "docs.js",
    "/docs/try.js": _PAGES / "try.js",
    "/docs/style.css": _PAGES / "style.css",
    "/docs/swagger-ui.css": _SWAGGER / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": _SWAGGER / "swagger-ui-bundle.js",
    "/docs/favicon-32x32.png": _SWAGGER / "favicon-32x32.png",
}
_METHODS = ("GET",)  # and HEAD with it
# Nothing is loaded from other hosts, so the pages work without the internet. Swagger UI needs inline
# styles and data: images.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHE_CONTROL = "no-cache"  # revalidated each time, mostly with a 304


class StaticPages:
    """Answers requests for the pages. It is an `Upstream`.

    Attributes:
        operations: the methods of the pages.
    """

    name = "pages"
    host_header = "pages"
    gateway_secret = ""
    operations = Operations(dict.fromkeys(_FILES, _METHODS))

    def send(self, request: UpstreamRequest) -> None:
        """Answer a request at once."""
        head, _, _ = request.data.partition(b"\r\n\r\n")
        start_line, _, lines = head.decode("latin1").partition("\r\n")
        target, headers = parse_request_start_line(start_line).path, HTTPHeaders.parse(lines)
        try:
            status, response_headers, body = _respond(request.method, target.partition("?")[0], headers)
        except AppError as error:
            status, response_headers, body = _respond_problem(error, headers)
        request.finish()
        if status != HTTPStatus.NOT_MODIFIED:
            response_headers = [*response_headers, ("Content-Length", str(len(body)))]
        sent = b"" if request.method == "HEAD" else body
        request.receiver.on_response(status, HTTPStatus(status).phrase, response_headers, sent)

    def deadline_line(self, _seconds: float) -> str:
        """Return nothing: pages are not waited for."""
        return ""


def _respond(method: str, path: str, headers: HTTPHeaders) -> tuple[int, Headers, bytes]:
    file = _FILES.get(path.rstrip("/") or "/")
    if file is None:
        raise NotFound
    if method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(_METHODS)
    body, etag = _read(file)
    caching = [("ETag", etag), ("Cache-Control", _CACHE_CONTROL)]
    if etags.matches(headers.get("If-None-Match", ""), etag):
        return HTTPStatus.NOT_MODIFIED, caching, b""
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return HTTPStatus.OK, [
        ("Content-Type", f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type),
        *security_headers.COMMON.items(),
        ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
        *caching,
    ], body  # fmt: skip


@cache
def _read(file: Path) -> tuple[bytes, str]:
    """Return a file's content and its ETag; read on the first request, then shared by all responses."""
    content = file.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _respond_problem(error: AppError, headers: HTTPHeaders) -> tuple[int, Headers, bytes]:
    language = negotiate(headers.get("Accept-Language", ""))
    problem_headers, body = problems.render(error, headers[request_ids.HEADER], language)
    return error.status, list(problem_headers.items()), body
