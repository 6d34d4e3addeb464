"""The media type and the encoding of request bodies."""

from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value

from shared.errors import UnsupportedContentEncoding, UnsupportedMediaType

# Far longer than any that is accepted; nothing is done with a longer header.
_MAX_LENGTH = 256
# ASCII is UTF-8, too.
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


def check_content(headers: Mapping[str, str]) -> None:
    """Accept a request whose body is JSON in UTF-8 and is not compressed.

    Args:
        headers: the request's headers; missing ones are what the origin's client sends.

    Raises:
        UnsupportedContentEncoding: `Content-Encoding` names an encoding.
        UnsupportedMediaType: `Content-Type` names another media type or charset.
    """
    codings = headers.get("Content-Encoding", "")
    if codings and any(coding.strip().lower() not in {"", "identity"} for coding in codings.split(",")):
        raise UnsupportedContentEncoding
    check_content_type(headers.get("Content-Type", ""))


def check_content_type(header: str) -> None:
    """Accept JSON in UTF-8, and a missing header, as from the origin's client.

    JSON is `application/json`, `text/json` and every type that ends in `+json`, as the WHATWG's MIME sniffing
    standard has it (§4.6). Clients that set the header twice send a list; then all of it must be JSON.

    Args:
        header: the request's `Content-Type`.

    Raises:
        UnsupportedMediaType: the header names another media type or charset.
    """
    if header in {"", "application/json"}:  # which is most of them
        return
    if len(header) > _MAX_LENGTH or not (_is_json(header) or all(map(_is_json, header.split(",")))):
        raise UnsupportedMediaType


def media_type(header: str) -> str:
    """Return the media type of a `Content-Type` in lower case, without parameters (RFC 9110 §8.3.1)."""
    return "" if len(header) > _MAX_LENGTH else _message(header).get_content_type()


def _is_json(header: str) -> bool:
    message = _message(header)
    kind = message.get_content_type()
    charsets = {
        collapse_rfc2231_value(value).strip().lower()
        for name, value in message.get_params([])
        if name.strip().lower() == "charset"
    }
    return (kind in {"application/json", "text/json"} or kind.endswith("+json")) and charsets <= _CHARSETS


def _message(header: str) -> Message:
    # Of the standard library; the parser for e-mail reads what RFC 9110 §8.3.1 allows, and more: empty
    # parameters, blanks, quotes.
    message = Message()
    message["Content-Type"] = header
    return message
