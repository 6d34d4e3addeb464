"""How the gateway reads the path of a request: one reading that no service can read differently.

The path decides which service answers and whether it needs a token, so a service must not see another path
than the one that was matched. What servers read in different ways is refused: encoded slashes, dot
segments, parameters (`;`), what is still encoded after one decoding, and so on. What is left is forwarded
in its canonical form (RFC 3986 §6.2.2).

A service may still ignore differences that the gateway sees, such as those of upper and lower case. For
that there is the folded path: two paths that any service might take for the same have the same one.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

# Needs neither decoding nor canonicalising: unreserved characters, and dots only between others.
_PLAIN = re.compile(r"(?:/\.?[A-Za-z0-9_~\-]++(?:\.[A-Za-z0-9_~\-]++)*+)*+/?", re.ASCII)
# `pchar` of RFC 3986 §3.3, without the semicolon, which begins a segment's parameters.
_SEGMENTS = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})+)+/?", re.ASCII)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}", re.ASCII)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# In a decoded segment. Not % itself: what a second decoding would decode.
_REFUSED = re.compile(r"[/\\;#?%\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SEPARATOR = re.compile(r"[/\\]")
# A service may cut the dots and spaces off, and then the segment is empty or the parent's.
_BLANK = re.compile(r"[.\s]*")
# Some read a plus as a space.
_TRAILING = re.compile(r"[.\s+]+\Z")
# What takes time for each character is bounded; servers take 8 KiB for the whole target.
_MAX_LENGTH = 4096
# A query goes on as it is; a fragment or a control character is none (RFC 3986 §3.4).
_NO_QUERY = re.compile(r"[\x00-\x20#\x7f]")


def read_path(path: str) -> tuple[str, str] | None:
    """Return the canonical form of a path and its folded form, or None if it has none."""
    if len(path) <= _MAX_LENGTH and _PLAIN.fullmatch(path) and path:
        return path, path.lower()
    canonical = canonical_path(path)
    return None if canonical is None else (canonical, fold(canonical))


def canonical_path(path: str) -> str | None:
    """Return the canonical form of a path, or None if services could read it in different ways.

    In the canonical form, only characters are encoded that have to be, or whose encoding makes a
    difference. The path stays as it is otherwise: upper and lower case, a slash at its end.
    """
    if len(path) > _MAX_LENGTH or not path:
        return None
    if _PLAIN.fullmatch(path):
        return path
    if not _SEGMENTS.fullmatch(path):
        return None
    for segment in path.strip("/").split("/"):
        if not _is_readable(segment):
            return None
    return _ESCAPE.sub(_canonical_escape, path)


def is_query(query: str) -> bool:
    """Return whether a request target's query contains nothing that would end it."""
    return not _NO_QUERY.search(query)


def fold(path: str) -> str:
    """Return what is left of a canonical path without the differences that a service may ignore.

    These are upper and lower case, accents and other variants of a character, invisible characters, and dots
    and spaces at the end of a segment. In it, nothing is encoded.
    """
    if path.isascii() and "%" not in path:
        folded = path.lower()
        return folded if _PLAIN.fullmatch(folded) else _without_trailing(folded)
    return _without_trailing(_fold_characters(unquote_to_bytes(path).decode()))


def _is_readable(segment: str) -> bool:
    try:
        decoded = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:  # servers decode other bytes in different ways, overlong forms among them
        return False
    # Other characters that a service may take for dots and slashes, such as fullwidth ones, are refused, too.
    variants = decoded if decoded.isascii() else _fold_characters(decoded)
    return not (_REFUSED.search(decoded) or _SEPARATOR.search(variants) or _BLANK.fullmatch(variants))


def _canonical_escape(escape: re.Match[str]) -> str:
    code = int(escape[0][1:], 16)
    return chr(code) if code in _UNRESERVED else escape[0].upper()


def _fold_characters(text: str) -> str:
    # One by one: the normalisation of a whole text takes quadratic time where it has many accents.
    variants = "".join(unicodedata.normalize("NFKD", character) for character in text)
    kept = [one for one in variants if unicodedata.category(one) not in {"Cf", "Me", "Mn"}]
    # In this order: a dotless i, for instance, is an I in upper case.
    return "".join(kept).upper().casefold()


def _without_trailing(path: str) -> str:
    segments = (_TRAILING.sub("", segment).strip() for segment in path.split("/"))
    return "/" + "/".join(filter(None, segments))
