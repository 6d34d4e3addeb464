"""Which `Host` a request may have.

The simulator shows codes and has no password. A page from anywhere could read them through the browser of
somebody who runs it, if its own name resolved to 127.0.0.1 (DNS rebinding): then `Host` is that name.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import RequestHandler

_MISDIRECTED = 421  # RFC 9110 §15.5.20


class AllowedHosts(Matcher):
    """Matches requests to localhost, to an address, or to one of the given names.

    An address cannot be rebound: a browser sends one only for a page that came from it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {"localhost", *(name.strip().lower() for name in names if name.strip())}

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return no arguments for an allowed host, None for others."""
        host = request.host_name.removesuffix(".")
        allowed = host in self._names or host.endswith(".localhost") or _is_address(host)
        return {} if allowed else None


class MisdirectedHandler(RequestHandler):
    """Answers requests with another `Host`."""

    def prepare(self) -> None:
        """Refuse every method."""
        self.set_status(_MISDIRECTED, "Misdirected Request")
        self.finish("This host is not in SIMULATOR_ALLOWED_HOSTS.\n")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
