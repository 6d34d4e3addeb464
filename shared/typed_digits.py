"""Phone numbers and one-time codes as people type and paste them, reduced to plain digits."""

import unicodedata
from functools import lru_cache

_MAX_CACHED = 1024
_PLUS_SIGNS = frozenset("+\ufe62\uff0b")
# Blanks, dashes, and what cannot be seen: directional marks that phones put around a number, soft hyphens.
_DROPPED_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Pd", "Cf"})
# Control characters that are blanks; the variation selectors of emoji; the minus, the sound mark of Japanese
# keyboards and other characters that are typed as dashes; dots; slashes; tildes.
_DROPPED = frozenset(
    "\t\n\v\f\r\x85\ufe0e\ufe0f\u2212\u30fc\uff70\u2043\u02d7"
    ".\uff0e\u3002\uff61\u00b7\u2022\u2027\u30fb\uff65/\uff0f\u2044\u2215~\uff5e\u223c\u2053"
)


class NotDigits(ValueError):
    """The text has letters or other characters that are part of no number."""


def plain(text: str) -> str:
    """Return the digits of a text in ASCII, with `+`, `(` and `)` for signs and brackets of any kind.

    Digits of all scripts are understood. Blanks, dashes, dots, slashes and invisible characters are left
    out, wherever they are.

    Raises:
        NotDigits: the text has other characters.
    """
    return "".join(map(_plain, text))


def digits(text: str) -> str:
    """Return the digits of a text, without brackets.

    Raises:
        NotDigits: the text has other characters than `plain` understands, or a sign.
    """
    found = plain(text).replace("(", "").replace(")", "")
    if "+" in found:
        raise NotDigits
    return found


@lru_cache(_MAX_CACHED)
def _plain(character: str) -> str:
    if character in _PLUS_SIGNS:
        return "+"
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in {"Ps", "Pe"}:
        return "(" if category == "Ps" else ")"
    if category in _DROPPED_CATEGORIES or character in _DROPPED:
        return ""
    raise NotDigits
