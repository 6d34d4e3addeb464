"""Rendering of errors as problem documents (RFC 9457)."""

import json

from shared.errors import AppError
from shared.http import security_headers
from shared.i18n import Language

CONTENT_TYPE = "application/problem+json"


def render(error: AppError, request_id: str, language: Language) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the problem document of an error.

    Each invalid field is an extension member with its list of messages; `retry_after` repeats the
    `Retry-After` header in seconds.
    """
    document: dict[str, object] = {
        "type": f"/problems/{error.slug}",
        "title": error.title.in_language(language),
        "status": error.status,
        "request_id": request_id,
        **error.members,
    }
    for field, messages in error.fields.items():
        document[field] = [message.in_language(language) for message in messages]
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Content-Language": language,
        "Cache-Control": "no-store",
        **security_headers.STRICT,
        **error.headers,
    }
    return headers, json.dumps(document, ensure_ascii=False).encode()
