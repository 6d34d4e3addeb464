"""The route table: which path prefix goes to which service, with its limits and its token rule."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from services.gateway.auth.authenticator import TokenRule
from services.gateway.upstream.request import UpstreamCall

# A hundred status reports, url-encoded twice, with room to spare.
_MAX_CALLBACK_BYTES = 512 * 1024
# Of the auth service; its operators' and its internal endpoints are not among them.
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
    "/.well-known": TokenRule.NONE,
}
CALLBACK_PREFIX = "/callbacks"
PAGE_PREFIXES = ("/", "/docs", "/openapi.json")
_UNUSUAL = re.compile(r"[%;\\]|//|\.\.")
_PARAMETERS = re.compile(r";[^/]*")


class Target(Protocol):
    """What answers a route's requests: another service, or a part of this one."""

    name: str
    host_header: str

    def send(self, call: UpstreamCall) -> None:
        """Take a request; its receiver is told the answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table.

    Attributes:
        prefix: the path itself and everything below it.
        upstream: where matching requests go.
        timeout: seconds that the upstream gets to begin its answer.
        max_body: bytes that a request's body may have.
        token: what a request's access token has to be.
    """

    prefix: str
    upstream: Target
    timeout: float
    max_body: int
    token: TokenRule


class RouteTable:
    """Finds the route of a path: the one with the longest prefix."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_head: dict[str, list[tuple[str, Route]]] = {}
        for route in sorted(routes, key=lambda route: len(route.prefix), reverse=True):
            self._by_head.setdefault(_head(route.prefix), []).append((route.prefix + "/", route))
        self.max_body = max((route.max_body for route in routes), default=0)

    def match(self, target: str) -> Route | None:
        """Return the route of a request target, or None."""
        path = target.partition("?")[0]
        if _UNUSUAL.search(path):
            plain = _plain(path)
            if plain is None:
                return None
            path = plain
        candidates = self._by_head.get(_head(path))
        if candidates is None:
            return None
        path += "/"
        for below, route in candidates:
            if path.startswith(below):
                return route
        return None


def _head(path: str) -> str:
    end = path.find("/", 1)
    return path if end < 0 else path[:end]


def _plain(path: str) -> str | None:
    """Return what an upstream may take a path for: decoded, without parameters; None where it is tricky.

    Dot segments, doubled slashes and backslashes match nothing: an upstream that resolved them would
    answer for another path, with another token rule, than the one that was matched here.
    """
    decoded = _PARAMETERS.sub("", unquote(path))
    if ".." in decoded or "//" in decoded or "\\" in decoded:
        return None
    return decoded


def auth_routes(upstream: Target, timeout: float, max_body: int) -> list[Route]:
    """Return the public paths of the auth service."""
    return [Route(prefix, upstream, timeout, max_body, rule) for prefix, rule in AUTH_PREFIXES.items()]


def callback_routes(upstream: Target, timeout: float) -> list[Route]:
    """Return the public paths of the SMS worker; its operators' endpoints are not among them."""
    return [Route(CALLBACK_PREFIX, upstream, timeout, _MAX_CALLBACK_BYTES, TokenRule.NONE)]


def page_routes(pages: Target, timeout: float, max_body: int) -> list[Route]:
    """Return the paths of the gateway's own pages."""
    return [Route(prefix, pages, timeout, max_body, TokenRule.NONE) for prefix in PAGE_PREFIXES]
