"""The header `Allow`."""

from collections.abc import Iterable


def allow(methods: Iterable[str]) -> str:
    """Return the header `Allow` of a resource, where `HEAD` goes with `GET`, and `OPTIONS` with all.

    Args:
        methods: those that the resource itself supports.
    """
    names = list(dict.fromkeys(methods))
    if "GET" in names and "HEAD" not in names:
        names.insert(names.index("GET") + 1, "HEAD")
    if "OPTIONS" not in names:
        names.append("OPTIONS")
    return ", ".join(names)
