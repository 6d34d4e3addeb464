"""Header values as text, where they are stored or shown."""


def as_text(value: str) -> str:
    """Return a header's value as UTF-8 text; bytes that are not UTF-8 become U+FFFD.

    Args:
        value: the value as servers decode it, one character for each byte (ISO-8859-1). Clients that send
            other characters than ASCII send UTF-8 nowadays; RFC 9110 §5.5 leaves their meaning open.
    """
    if value.isascii():
        return value
    return value.encode("latin1", "replace").decode("utf-8", "replace")
