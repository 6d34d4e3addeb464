"""Nicknames and passwords as people type them: one form, whose length counts, and something to see."""

import re
import unicodedata

from wcwidth import wcwidth

MAX_NICKNAME_LENGTH = 64
# A character that is typed decomposed has up to four code points (UAX #15, "Maximum Expansion Factors").
LONGEST_DECOMPOSITION = 4

_JOINERS = "\u200c\u200d"
_VIRAMA = 9  # the canonical combining class
# What a joiner may be between: letters, marks, digits, symbols, and what newer versions of Unicode have.
_JOINED = ("L", "M", "N", "S", "Cn")
# Controls, among them the bidirectional ones; surrogates, private use; separators of lines and paragraphs.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Unassigned characters may be emoji or Han of a newer Unicode, but not from here on.
_SPECIAL_PURPOSE = "\U000e0000"
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
# A flag of a region without a code of its own, such as Scotland's (UTS #51 §1.4.6).
_TAG_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
# Between words of Thai, Lao, Burmese and Khmer, whose keyboards have it for the space; in words of Mongolian.
_IN_WORDS = re.compile(
    "(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b(?=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
    "|(?<=[\u180b-\u180d\u1820-\u18aa])\u180e(?=[\u1820-\u18aa])"
)
# Letters and symbols without a glyph, beside those that have no width.
_BLANK = frozenset("\u00ad\u115f\u2800\ufffc\U0001d159\U00013441\U00013442")


class UnusableNickname(ValueError):
    """The nickname is too long, cannot be seen, or has characters that disturb the text around it."""


def normalize(text: str) -> str:
    """Return the composed form (NFC), in which keyboards do not differ; the length of text is that of it."""
    return unicodedata.normalize("NFC", text)


def normalize_nickname(text: str) -> str:
    """Return a nickname in composed form, without blanks around it.

    Args:
        text: as typed, at most `LONGEST_DECOMPOSITION` times as long as a nickname.

    Raises:
        UnusableNickname: it has no visible character, more than 64 code points, control characters or
            others that are not for text, or a joiner that joins nothing.
    """
    nickname = normalize(text).strip()
    if len(nickname) > MAX_NICKNAME_LENGTH or is_blank(nickname):
        raise UnusableNickname
    bare = _IN_WORDS.sub("", _TAG_FLAG.sub("\U0001f3f4", nickname))
    if not all(_is_usable(bare, place) for place in range(len(bare))):
        raise UnusableNickname
    return nickname


def is_blank(text: str) -> bool:
    """Return whether nothing of a text can be seen: it has only blanks, invisible characters and marks."""
    return not any(map(_is_visible, text))


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    if category[0] in "ZM" or category in {"Cc", "Cf", "Cs"} or character in _BLANK:
        return False
    # By the library's tables, which are those of a newer Unicode than Python's.
    return wcwidth(character) > 0


def _is_usable(text: str, place: int) -> bool:
    character = text[place]
    if character in _JOINERS:
        return _joins(text, place)
    category, number = unicodedata.category(character), ord(character)
    if category == "Cn":
        is_noncharacter = number in _NONCHARACTERS or number & 0xFFFE == 0xFFFE  # noqa: PLR2004
        return not is_noncharacter and character < _SPECIAL_PURPOSE
    return category not in _REFUSED


def _joins(text: str, place: int) -> bool:
    """Return whether a joiner is behind a virama (RFC 5892, A.1 and A.2) or between what can be joined."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if before and unicodedata.combining(before) == _VIRAMA:
        return True
    return all(side and unicodedata.category(side).startswith(_JOINED) for side in (before, after))
