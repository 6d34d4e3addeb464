"""The route table: which path prefix goes to which service, with its limits and its token rule.

The routes of the auth service, the SMS worker and the gateway's own pages are fixed; those of a
platform's other services come from the setting GATEWAY_ROUTES.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from services.gateway.operations import Operations
from services.gateway.paths import canonical_path, fold, is_query, read_path
from services.gateway.upstream.request import Upstream


class TokenRule(Enum):
    """What a route requires of a request's access token, the strictest first.

    `REQUIRED`: a valid one. `OPTIONAL`: none, or a valid one. `NONE`: the token is not checked.
    """

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


# Of the auth service; its operators' and its internal endpoints are not public.
AUTH_PREFIXES = {
    "/code": TokenRule.NONE,
    "/register": TokenRule.NONE,
    "/login": TokenRule.NONE,
    "/token": TokenRule.NONE,
    "/logout": TokenRule.REQUIRED,
    "/sessions": TokenRule.REQUIRED,
    "/me": TokenRule.REQUIRED,
    "/password": TokenRule.NONE,
    "/password/change": TokenRule.REQUIRED,
    "/reauthenticate": TokenRule.REQUIRED,
    "/.well-known": TokenRule.NONE,
}
# A refresh token in the body can take the place of the access token, which auth finds out.
_TOKEN_OR_BODY = frozenset({"/logout"})
_CALLBACK_PREFIX = "/callbacks"
_CALLBACK_OPERATIONS = Operations({"/callbacks/yunpian/{secret}/": ("POST",)})
# A hundred status reports, url-encoded twice, with room to spare.
_MAX_CALLBACK_BYTES = 512 * 1024
_PAGE_PREFIXES = ("/", "/docs", "/openapi.json")
_BY_STRICTNESS = tuple(TokenRule)

# Of GATEWAY_ROUTES.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~\-]+)+", re.ASCII)
_SEPARATORS = re.compile(r"[,\s]+")
_MAX_TIMEOUT = 300.0
_MAX_BODY_BYTES = 16 * 1024 * 1024
# First segments that are taken.
_RESERVED = frozenset(
    {"/" + prefix.split("/")[1] for prefix in [*AUTH_PREFIXES, _CALLBACK_PREFIX, *_PAGE_PREFIXES]}
    | {"/internal", "/problems", "/healthz", "/readyz", "/metrics"}
)


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table.

    Attributes:
        prefix: matches the path itself and everything below it.
        upstream: answers matching requests.
        timeout: seconds until the upstream must begin its response.
        max_body: limit of a request's body in bytes.
        token: what is required of a request's access token.
        operations: what is known of the upstream's paths, or None.
        forward_authorization: whether the upstream gets the `Authorization` header.
        token_or_body: whether the upstream itself checks the token of a request that has a body.
    """

    prefix: str
    upstream: Upstream
    timeout: float
    max_body: int
    token: TokenRule
    operations: Operations | None = None
    forward_authorization: bool = False
    token_or_body: bool = False


# The prefix with a slash at its end, and its route; the longest first.
_Entries = list[tuple[str, Route]]


class RouteTable:
    """Finds the route with the longest prefix of a path.

    A service may take a path for another one that differs, for instance, in upper and lower case. So the
    routes that such a path matches count, too: a request has to satisfy the strictest of their rules.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_first_segment: dict[str, _Entries] = {}
        self._folded: _Entries = []
        for route in sorted(routes, key=lambda route: len(route.prefix), reverse=True):
            entries = self._by_first_segment.setdefault(_first_segment(route.prefix), [])
            entries.append((route.prefix + "/", route))
            self._folded.append((fold(route.prefix) + "/", route))
        # Made once, so that a request only looks them up.
        self._with_rule = {
            (route.prefix, rule): replace(route, token=rule) for route in routes for rule in TokenRule
        }
        self.max_body = max((route.max_body for route in routes), default=0)

    def match(self, target: str) -> tuple[Route | None, str]:
        """Return the route of a request target, and the target to forward.

        Returns:
            None and the target as it is if no route matches, or if services could read the path in
            different ways.
        """
        path, mark, query = target.partition("?")
        reading = read_path(path)
        if reading is None or (mark and not is_query(query)):
            return None, target
        canonical, folded = reading
        route = self._find(canonical + "/")
        if route is None:
            return None, target
        if folded != canonical:
            route = self._with_strictest_rule(route, canonical + "/", folded + "/")
        return route, f"{canonical}?{query}" if mark else canonical

    def _find(self, path: str) -> Route | None:
        for prefix, route in self._by_first_segment.get(_first_segment(path), ()):
            if path.startswith(prefix):
                return route
        return None

    def _with_strictest_rule(self, found: Route, path: str, folded: str) -> Route:
        """Return the route with the strictest of its rule and those of routes that only `folded` matches."""
        rules = {found.token}
        for prefix, route in self._folded:
            if folded.startswith(prefix) and not path.startswith(route.prefix + "/"):
                rules.add(route.token)
        return self._with_rule[found.prefix, min(rules, key=_BY_STRICTNESS.index)]


def _first_segment(path: str) -> str:
    end = path.find("/", 1)
    return path if end < 0 else path[:end]


def auth_routes(
    upstream: Upstream, timeout: float, max_body: int, operations: Operations | None = None
) -> list[Route]:
    """Return the public routes of the auth service."""
    return [
        Route(
            prefix, upstream, timeout, max_body, rule, operations,
            forward_authorization=True, token_or_body=prefix in _TOKEN_OR_BODY,
        )
        for prefix, rule in AUTH_PREFIXES.items()
    ]  # fmt: skip


def callback_routes(upstream: Upstream, timeout: float) -> list[Route]:
    """Return the public routes of the SMS worker: the provider's status reports."""
    return [
        Route(_CALLBACK_PREFIX, upstream, timeout, _MAX_CALLBACK_BYTES, TokenRule.NONE, _CALLBACK_OPERATIONS)
    ]


def page_routes(
    pages: Upstream, timeout: float, max_body: int, operations: Operations | None = None
) -> list[Route]:
    """Return the routes of the gateway's own pages."""
    return [Route(prefix, pages, timeout, max_body, TokenRule.NONE, operations) for prefix in _PAGE_PREFIXES]


@dataclass(frozen=True, slots=True)
class RouteSetting:
    """One entry of the setting GATEWAY_ROUTES.

    Attributes:
        prefix: matches the path itself and everything below it; forwarded unchanged.
        url: the service, `http://host:port`.
        token: what is required of a request's access token.
        timeout: seconds until the service must begin its response; None for UPSTREAM_TIMEOUT.
        max_body: limit of a request's body in bytes; None for MAX_BODY_BYTES.
        authorization: whether the service gets the `Authorization` header. With the access token in it, a
            service could do as the user all that the user can.
    """

    prefix: str
    url: str
    token: TokenRule = TokenRule.REQUIRED
    timeout: float | None = None
    max_body: int | None = None
    authorization: bool = False


def parse_route_settings(text: str) -> tuple[RouteSetting, ...]:
    """Return the entries of GATEWAY_ROUTES.

    Args:
        text: `/prefix=http://host:port;token=…;timeout=…;max_body=…;authorization=…`, separated by commas
            or white space; the options may be left out.

    Raises:
        ValueError: an entry is malformed; the message says which and why.
    """
    routes: dict[str, RouteSetting] = {}
    for entry in filter(None, _SEPARATORS.split(text)):
        route = _parse_route(entry)
        if route.prefix in routes:
            raise ValueError(f"{route.prefix} appears twice")
        routes[route.prefix] = route
    return tuple(routes.values())


def _parse_route(entry: str) -> RouteSetting:
    target, *options = entry.split(";")
    prefix, _, url = target.partition("=")
    if not _PREFIX.fullmatch(prefix) or ".." in prefix or canonical_path(prefix) is None:
        raise ValueError(f"{prefix} is no path such as /orders or /api/orders")
    if _first_segment(fold(prefix)) in _RESERVED:
        raise ValueError(f"{prefix} belongs to the gateway")
    if not _is_base_url(url):
        raise ValueError(f"{prefix} needs a URL without a path, such as http://orders:9000")
    return RouteSetting(prefix, url.rstrip("/"), **dict(_parse_option(prefix, option) for option in options))


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        return False
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare


def _parse_option(prefix: str, option: str) -> tuple[str, Any]:
    name, _, value = option.partition("=")
    if name not in _OPTIONS:
        raise ValueError(f"{prefix}: {name or 'an empty option'} is none of {', '.join(_OPTIONS)}")
    parse, takes = _OPTIONS[name]
    try:
        return name, parse(value)
    except ValueError:
        raise ValueError(f"{prefix}: {name} takes {takes}") from None


def _parse_timeout(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds <= _MAX_TIMEOUT:
        raise ValueError
    return seconds


def _parse_max_body(value: str) -> int:
    size = int(value)
    if not 0 <= size <= _MAX_BODY_BYTES:
        raise ValueError
    return size


def _parse_authorization(value: str) -> bool:
    if value not in {"forward", "drop"}:
        raise ValueError
    return value == "forward"


_OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "token": (TokenRule, "required, optional or none"),
    "timeout": (_parse_timeout, f"seconds above 0, at most {_MAX_TIMEOUT:.0f}"),
    "max_body": (_parse_max_body, f"bytes, at most {_MAX_BODY_BYTES}"),
    "authorization": (_parse_authorization, "forward or drop"),
}
