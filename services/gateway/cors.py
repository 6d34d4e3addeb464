"""Cross-origin resource sharing (WHATWG Fetch §3.3) for every response of the gateway."""

import re
from collections.abc import Iterable

Headers = tuple[tuple[str, str], ...]

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<wild>\*\.)?(?P<host>[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:]+\])"
    r"(?P<port>:[0-9]{1,5})?",
    re.ASCII | re.IGNORECASE,
)
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = "Authorization, Content-Type, Accept-Language, X-Request-ID"
_EXPOSED = "X-Request-ID, Retry-After"
_PREFLIGHT_SECONDS = 7200
_CACHED_ORIGINS = 1024

_VARY: Headers = (("Vary", "Origin"),)


def parse_origin_pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches the origins that a pattern allows.

    Args:
        pattern: an exact origin, or one with `*.` before its host for every subdomain.

    Raises:
        ValueError: it is neither.
    """
    parts = _ORIGIN.fullmatch(pattern)
    if parts is None:
        raise ValueError("an origin is http(s)://host[:port] or http(s)://*.host[:port]")
    host = re.escape(parts["host"].lower())
    if parts["wild"]:
        host = rf"(?:[a-z0-9\-]+\.)+{host}"
    return re.compile(f"{parts['scheme'].lower()}://{host}{parts['port'] or ''}", re.ASCII)


class CorsPolicy:
    """Decides from the Origin header which headers a response carries.

    Args:
        patterns: the allowed origins, as `parse_origin_pattern` takes them.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._allowed = [parse_origin_pattern(pattern) for pattern in patterns]
        self._cache: dict[str, Headers] = {}

    def headers(self, origin: str | None) -> Headers:
        """Return the headers of an actual response; none but `Vary` for an unlisted origin."""
        if origin is None:
            return _VARY
        headers = self._cache.get(origin)
        if headers is None:
            headers = self._decide(origin)
            if len(self._cache) < _CACHED_ORIGINS:
                self._cache[origin] = headers
        return headers

    def preflight_headers(self, origin: str | None) -> Headers:
        """Return the headers of the answer to a preflight request."""
        headers = self.headers(origin)
        if headers is _VARY:
            return headers
        return (
            *headers,
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
        )

    def _decide(self, origin: str) -> Headers:
        # Browsers send origins in lower case and without a path; anything else matches nothing.
        if not any(pattern.fullmatch(origin) for pattern in self._allowed):
            return _VARY
        return (
            *_VARY,
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _EXPOSED),
        )
