"""The gateway's own pages: the API's description, its reader, and a page to try it all.

They stand behind the route table as an upstream does, so that the way of a forwarded request is not
made longer by them.
"""

import hashlib
import mimetypes
from functools import cache
from http import HTTPStatus
from pathlib import Path

from swagger_ui_bundle import swagger_ui_path
from tornado.httputil import HTTPHeaders, parse_request_start_line

from services.gateway.upstream.request import Headers, UpstreamCall
from shared.errors import AppError, MethodNotAllowed, NotFound
from shared.http import problems, request_ids
from shared.i18n import negotiate

_OWN = Path(__file__).with_name("pages")
_SWAGGER = Path(str(swagger_ui_path))
_FILES = {
    "/": _OWN / "index.html",
    "/openapi.json": _OWN / "openapi.json",
    "/docs": _OWN / "docs.html",
    "/docs/docs.js": _OWN / "docs.js",
    "/docs/try.js": _OWN / "try.js",
    "/docs/style.css": _OWN / "style.css",
    "/docs/swagger-ui.css": _SWAGGER / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": _SWAGGER / "swagger-ui-bundle.js",
    "/docs/favicon-32x32.png": _SWAGGER / "favicon-32x32.png",
}
_METHODS = ("GET", "HEAD")
# Nothing from elsewhere, so that the pages work without the internet; Swagger UI sets styles and
# shows its own images as data.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHED = "no-cache"  # asked for again each time, and then mostly answered by 304


class PublicPages:
    """Answers requests for the pages."""

    name = "pages"
    host_header = "pages"

    def send(self, call: UpstreamCall) -> None:
        """Answer a request that the route table has brought here."""
        head, _, _ = call.request.partition(b"\r\n\r\n")
        first, _, lines = head.decode("latin1").partition("\r\n")
        target, headers = parse_request_start_line(first).path, HTTPHeaders.parse(lines)
        try:
            status, answer, body = _answer(call.method, target.partition("?")[0], headers)
        except AppError as error:
            status, answer, body = _problem(error, headers)
        call.finish()
        if status != HTTPStatus.NOT_MODIFIED:
            answer = [*answer, ("Content-Length", str(len(body)))]
        sent = b"" if call.method == "HEAD" else body
        call.receiver.answered(status, HTTPStatus(status).phrase, answer, sent)


def _answer(method: str, path: str, headers: HTTPHeaders) -> tuple[int, Headers, bytes]:
    file = _FILES.get(path.rstrip("/") or "/")
    if file is None:
        raise NotFound
    if method not in _METHODS:
        raise MethodNotAllowed(_METHODS)
    body, tag = _read(file)
    validity = [("ETag", tag), ("Cache-Control", _CACHED)]
    if headers.get("If-None-Match") == tag:
        return HTTPStatus.NOT_MODIFIED, validity, b""
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return HTTPStatus.OK, [
        ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", _POLICY),
        ("Referrer-Policy", "no-referrer"),
        *validity,
    ], body  # fmt: skip


@cache
def _read(file: Path) -> tuple[bytes, str]:
    """Return a file's content and its tag; kept, and read no sooner than somebody wants it."""
    content = file.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _problem(error: AppError, headers: HTTPHeaders) -> tuple[int, Headers, bytes]:
    language = negotiate(headers.get("Accept-Language", ""))
    answer, body = problems.render(error, headers[request_ids.HEADER], language)
    return error.status, list(answer.items()), body
