"""The header `Date` (RFC 9110 §6.6.1), formatted once a second."""

import time
from email.utils import formatdate
from functools import lru_cache


def http_date() -> str:
    """Return the current time as the header `Date` has it."""
    return _format(int(time.time()))


@lru_cache(1)
def _format(second: int) -> str:
    return formatdate(second, usegmt=True)
