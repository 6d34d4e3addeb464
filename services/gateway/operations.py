"""What is known of an upstream's paths, so that requests are refused before their bodies are read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from shared.errors import MethodNotAllowed, NotFound, PayloadTooLarge
from shared.http.content_type import check_content
from shared.http.methods import allow
from shared.observability.metrics import METHODS

_KNOWN_METHODS = frozenset(METHODS)
_PARAMETER = re.compile(r"\{[^}]*\}")


class Operations:
    """The methods of paths, and whether their bodies are JSON.

    Args:
        methods: the methods by path; `{name}` in a path stands for one segment.
        json: whether bodies must be JSON.
    """

    def __init__(self, methods: Mapping[str, Sequence[str]], *, json: bool = False) -> None:
        self._json = json
        self._by_path: dict[str, Sequence[str]] = {}
        self._by_pattern: list[tuple[re.Pattern[str], Sequence[str]]] = []
        for path, names in methods.items():
            bare = path.rstrip("/")
            if "{" in bare:
                pattern = "[^/]+".join(map(re.escape, _PARAMETER.split(bare)))
                self._by_pattern.append((re.compile(pattern), names))
            else:
                self._by_path[bare] = names

    @classmethod
    def from_openapi(cls, document: Mapping[str, Any]) -> Self:
        """Return the operations of an OpenAPI document, all of which take JSON."""
        return cls({path: _methods(item) for path, item in document["paths"].items()}, json=True)

    def methods(self, target: str) -> Sequence[str] | None:
        """Return the methods of a request target, or None for an unknown path."""
        path = target.partition("?")[0].rstrip("/")
        if path in self._by_path:
            return self._by_path[path]
        return next((names for pattern, names in self._by_pattern if pattern.fullmatch(path)), None)

    def check_body(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Refuse a request whose body is still to come; the upstream itself refuses the others.

        Raises:
            MethodNotAllowed: the path is known and does not support the method.
            UnsupportedMediaType: the body must be JSON and is not.
            UnsupportedContentEncoding: the body must be JSON and is compressed.
        """
        methods = self.methods(target)
        if methods is not None and method not in methods and (method != "HEAD" or "GET" not in methods):
            raise MethodNotAllowed(methods)
        if self._json:
            check_content(headers)


def check_head(operations: Operations | None, method: str, target: str, length: str, max_body: int) -> int:
    """Return the size of a request's body, by its `Content-Length`, whose form has been checked.

    Raises:
        MethodNotAllowed: the method is unknown; known ones are the upstream's business.
        PayloadTooLarge: the body is larger than `max_body`.
    """
    if method not in _KNOWN_METHODS:
        raise MethodNotAllowed((operations.methods(target) if operations else None) or METHODS)
    size = int(length)
    if size > max_body:
        raise PayloadTooLarge
    return size


def allowed(operations: Operations | None, target: str, *, routed: bool, preflight: bool) -> str:
    """Return the `Allow` of the answer to OPTIONS: a resource's own methods, as far as they are known.

    Args:
        operations: those of the route, if they are known.
        target: the request target; `*` stands for the whole server (RFC 9110 §9.3.7).
        routed: whether a route matches the target.
        preflight: whether a browser asks. It must be answered well, or a page could not read the 404 of
            the request that follows.

    Raises:
        NotFound: there is no such resource.
    """
    if target == "*" or (routed and operations is None):
        return allow(METHODS)
    methods = operations.methods(target) if operations else None
    if methods is None and not preflight:
        raise NotFound
    return allow(methods or METHODS)


def _methods(item: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.upper() for name in item)
