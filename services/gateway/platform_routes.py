"""Routes to a platform's own services, as the setting GATEWAY_ROUTES names them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.gateway.auth.authenticator import TokenRule
from services.gateway.routes import AUTH_PREFIXES, CALLBACK_PREFIX, PAGE_PREFIXES

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~\-]+)+", re.ASCII)
_SEPARATORS = re.compile(r"[,\s]+")
_LONGEST_SECONDS = 300.0
_LARGEST_BYTES = 16 * 1024 * 1024
# The system's own first segments, and those that it keeps for itself.
_RESERVED = frozenset(
    {"/" + prefix.split("/")[1] for prefix in [*AUTH_PREFIXES, CALLBACK_PREFIX, *PAGE_PREFIXES]}
    | {"/internal", "/problems", "/healthz", "/readyz", "/metrics"}
)


@dataclass(frozen=True, slots=True)
class PlatformRoute:
    """One entry of the setting.

    Attributes:
        prefix: the path itself and everything below it; forwarded as it is.
        url: the service, `http://host:port`.
        token: what a request's access token has to be.
        timeout: seconds that the service gets to begin its answer; None for the gateway's usual.
        max_body: bytes that a request's body may have; None for the gateway's usual.
    """

    prefix: str
    url: str
    token: TokenRule = TokenRule.REQUIRED
    timeout: float | None = None
    max_body: int | None = None


def parse_routes(text: str) -> tuple[PlatformRoute, ...]:
    """Return the routes of `/prefix=http://host:port;token=…;timeout=…;max_body=…`, separated by commas.

    Raises:
        ValueError: saying which entry is wrong and how.
    """
    routes: dict[str, PlatformRoute] = {}
    for entry in filter(None, _SEPARATORS.split(text)):
        route = _parse(entry)
        if route.prefix in routes:
            raise ValueError(f"{route.prefix} appears twice")
        routes[route.prefix] = route
    return tuple(routes.values())


def _parse(entry: str) -> PlatformRoute:
    target, *options = entry.split(";")
    prefix, _, url = target.partition("=")
    if not _PREFIX.fullmatch(prefix) or ".." in prefix:
        raise ValueError(f"{prefix} is no path such as /orders or /api/orders")
    if "/" + prefix.split("/")[1] in _RESERVED:
        raise ValueError(f"{prefix} belongs to the gateway")
    if not _is_base_url(url):
        raise ValueError(f"{prefix} needs a URL without a path, such as http://orders:9000")
    return PlatformRoute(prefix, url.rstrip("/"), **dict(_option(prefix, option) for option in options))


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
    except ValueError:
        return False
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare


def _option(prefix: str, option: str) -> tuple[str, Any]:
    name, _, value = option.partition("=")
    if name not in _OPTIONS:
        raise ValueError(f"{prefix}: {name or 'an empty option'} is none of {', '.join(_OPTIONS)}")
    convert, takes = _OPTIONS[name]
    try:
        return name, convert(value)
    except ValueError:
        raise ValueError(f"{prefix}: {name} takes {takes}") from None


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError
    return seconds


def _bytes(value: str) -> int:
    size = int(value)
    if not 0 <= size <= _LARGEST_BYTES:
        raise ValueError
    return size


_OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "token": (TokenRule, "required, optional or none"),
    "timeout": (_seconds, f"seconds above 0, at most {_LONGEST_SECONDS:.0f}"),
    "max_body": (_bytes, f"bytes, at most {_LARGEST_BYTES}"),
}
