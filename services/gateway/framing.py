"""The end of a response, as its client finds it."""

from services.gateway.upstream.request import Headers

_NO_CONTENT, _NOT_MODIFIED = 204, 304
NO_BODY = frozenset({_NO_CONTENT, _NOT_MODIFIED})


def frame(method: str, status: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Return the headers and the body of a complete response, so that they agree (RFC 9110 §8.6).

    Args:
        method: of the request. The response to HEAD keeps the length that the response to GET would have.
        status: of the response; one to a conditional request (304) keeps its length, too.
        headers: the upstream's headers.
        body: the whole body; dropped where there must be none.
    """
    if status == _NOT_MODIFIED or (method == "HEAD" and status != _NO_CONTENT):
        return headers, b""
    kept = [pair for pair in headers if pair[0].lower() != "content-length"]
    if status == _NO_CONTENT:
        return kept, b""
    return [*kept, ("Content-Length", str(len(body)))], body
