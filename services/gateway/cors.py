"""Cross-origin resource sharing (WHATWG Fetch §3.3): the headers of responses and preflights.

`proxy.ProxyRequest` adds them: `CorsPolicy.headers` to every response, and `preflight_headers` to the answer
to OPTIONS, which the gateway gives itself.
"""

import re
from collections.abc import Iterable

CorsHeaders = tuple[tuple[str, str], ...]

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<wild>\*\.)?(?P<host>[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:]+\])"
    r"(?P<port>:[0-9]{1,5})?",
    re.ASCII | re.IGNORECASE,
)
_ALLOW_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOW_HEADERS = "Authorization, Content-Type, Accept-Language, X-Request-ID"
_EXPOSE_HEADERS = "X-Request-ID, Retry-After"
_MAX_AGE_SECONDS = 7200
# The names of hosts are shorter (RFC 1035 §2.3.4).
_MAX_ORIGIN_LENGTH = 300
_MAX_CACHED = 1024
# In characters: a scheme, a host name of 253 (RFC 1035 §2.3.4) and a port. Longer ones are not looked at.
_MAX_ORIGIN_LENGTH = 300

_VARY: CorsHeaders = (("Vary", "Origin"),)


def parse_origin_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression that matches the allowed origins.

    Args:
        pattern: an exact origin, or one with `*.` before its host for every subdomain.

    Raises:
        ValueError: the pattern is neither.
    """
    parts = _ORIGIN.fullmatch(pattern)
    if parts is None:
        raise ValueError("an origin is http(s)://host[:port] or http(s)://*.host[:port]")
    host = re.escape(parts["host"].lower())
    if parts["wild"]:
        host = rf"(?:[a-z0-9\-]+\.)+{host}"
    return re.compile(f"{parts['scheme'].lower()}://{host}{parts['port'] or ''}", re.ASCII)


class CorsPolicy:
    """Returns the CORS headers for a request's `Origin`.

    Args:
        patterns: the allowed origins; see `parse_origin_pattern`.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._allowed = [parse_origin_pattern(pattern) for pattern in patterns]
        self._cache: dict[str, CorsHeaders] = {}

    def headers(self, origin: str | None) -> CorsHeaders:
        """Return the headers of a response; only `Vary` for an origin that is not allowed."""
        if origin is None or len(origin) > _MAX_ORIGIN_LENGTH:
            return _VARY
        headers = self._cache.get(origin)
        if headers is None:
            headers = self._headers_for(origin)
            # Only allowed ones: clients can send any number of others.
            if headers is not _VARY and len(self._cache) < _MAX_CACHED:
                self._cache[origin] = headers
        return headers

    def preflight_headers(self, origin: str | None) -> CorsHeaders:
        """Return the headers of the response to a preflight; only `Vary` if the origin is not allowed."""
        headers = self.headers(origin)
        if headers is _VARY:
            return headers
        return (
            *headers,
            ("Access-Control-Allow-Methods", _ALLOW_METHODS),
            ("Access-Control-Allow-Headers", _ALLOW_HEADERS),
            ("Access-Control-Max-Age", str(_MAX_AGE_SECONDS)),
        )

    def _headers_for(self, origin: str) -> CorsHeaders:
        if len(origin) > _MAX_ORIGIN_LENGTH:
            return _VARY
        # Browsers send origins in lower case and without a path.
        if not any(pattern.fullmatch(origin) for pattern in self._allowed):
            return _VARY
        return (
            *_VARY,
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _EXPOSE_HEADERS),
        )
