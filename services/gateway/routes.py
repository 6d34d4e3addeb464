"""The route table: which path prefix goes to which service, with its limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.upstream import Upstream

# A hundred status reports, url-encoded twice, with room to spare.
_MAX_CALLBACK_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table.

    Attributes:
        prefix: the path itself and everything below it.
        upstream: where matching requests go.
        timeout: seconds that the upstream gets to begin its answer.
        max_body: bytes that a request's body may have.
    """

    prefix: str
    upstream: Upstream
    timeout: float
    max_body: int


class RouteTable:
    """Finds the route of a path by its first segment."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = {route.prefix: route for route in routes}

    def match(self, target: str) -> Route | None:
        """Return the route of a request target, or None.

        Dot segments match nothing: an upstream that resolved them would answer for another path
        than the one that was matched here.
        """
        path = target.partition("?")[0]
        if ".." in path or "%2e" in path.lower():
            return None
        end = path.find("/", 1)
        return self._routes.get(path if end < 0 else path[:end])


def auth_routes(upstream: Upstream, timeout: float, max_body: int) -> list[Route]:
    """Return the public paths of the auth service; its operators' endpoints are not among them."""
    prefixes = (
        "/code",
        "/register",
        "/login",
        "/token",
        "/logout",
        "/sessions",
        "/me",
        "/password",
        "/.well-known",
    )
    return [Route(prefix, upstream, timeout, max_body) for prefix in prefixes]


def callback_routes(upstream: Upstream, timeout: float) -> list[Route]:
    """Return the public paths of the SMS worker; its operators' endpoints are not among them."""
    return [Route("/callbacks", upstream, timeout, _MAX_CALLBACK_BYTES)]
