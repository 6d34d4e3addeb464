"""Request ids: one per client request, in all of its log lines and messages."""

import re
import secrets

HEADER = "X-Request-ID"
_VALID = re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII)


def accept_or_create(given: str | None) -> str:
    """Return the client's id if it is a valid token of at most 64 characters, else a new id."""
    if given and _VALID.fullmatch(given):
        return given
    return secrets.token_hex(16)
