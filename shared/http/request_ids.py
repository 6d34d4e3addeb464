"""Request ids: one per client request, in every log line and message that it causes."""

import re
import secrets

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII)


def accept_or_create(given: str | None) -> str:
    """Return the client's own id where it is a sane token of at most 64 characters, else a new."""
    if given and _SANE.fullmatch(given):
        return given
    return secrets.token_hex(16)
