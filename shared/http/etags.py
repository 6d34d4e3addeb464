"""Conditional requests: whether the client has a representation already."""

import re

# RFC 9110 §8.8.3. Of a list, empty members are ignored (§5.6.1).
_OPAQUE_TAG = r'"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"(?:[ \t,]*(?:W/)?{_OPAQUE_TAG}[ \t]*(?=,|\Z))*[ \t,]*")
_TAG = re.compile(_OPAQUE_TAG)


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether `If-None-Match` names an entity tag (RFC 9110 §13.1.2): then the response is a 304.

    Args:
        if_none_match: the request's header: `*`, or a list of tags, which are compared weakly (§8.8.3.2).
            What is neither matches nothing.
        etag: the tag of the representation that exists.
    """
    if if_none_match.strip(" \t") == "*":
        return True
    if not _LIST.fullmatch(if_none_match):
        return False
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)
