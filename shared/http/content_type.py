"""The media type of request bodies."""

from shared.errors import UnsupportedMediaType


def check_content_type(header: str) -> None:
    """Accept JSON in UTF-8, and a missing header, as from the origin's client.

    Args:
        header: the request's `Content-Type`.

    Raises:
        UnsupportedMediaType: the header names another media type or charset.
    """
    media_type, _, parameters = header.partition(";")
    if media_type.strip().lower() not in {"", "application/json"}:
        raise UnsupportedMediaType
    name, _, charset = parameters.strip().partition("=")
    if name.lower() == "charset" and charset.strip('" ').lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType
