"""Messages to end users in English and Chinese, and language negotiation."""

import re
from dataclasses import dataclass
from typing import Literal

_LONGEST_HEADER = 1024
_MAX_LANGUAGES = 20
# RFC 9110 §12.4.2 allows three decimals; some clients send more. No 1e9, inf or nan, which float() takes.
_QUALITY = re.compile(r"[01](\.[0-9]{0,9})?", re.ASCII)

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Text:
    """A message in both languages, with `{name}` placeholders for `fill`."""

    en: str
    zh: str

    def fill(self, **values: object) -> "Text":
        """Return the text with its placeholders replaced by `values`."""
        return Text(self.en.format(**values), self.zh.format(**values))

    def in_language(self, language: Language) -> str:
        """Return the message in `language`."""
        return self.zh if language == "zh" else self.en


def negotiate(accept_language: str) -> Language:
    """Return the preferred language of an `Accept-Language` value (RFC 9110 §12.5.4).

    English if the value is empty, malformed or has neither language. Only the first 20 languages and the
    first 1024 characters are read.
    """
    best: Language = "en"
    best_quality = 0.0
    for item in accept_language[:_LONGEST_HEADER].split(",")[:_MAX_LANGUAGES]:
        tag, _, parameter = item.strip().partition(";")
        language = _supported(tag.strip().lower())
        quality = _quality(parameter.strip())
        if language and quality > best_quality:
            best, best_quality = language, quality
    return best


def _supported(tag: str) -> Language | None:
    primary = tag.split("-", 1)[0]
    if primary == "zh":
        return "zh"
    return "en" if primary in {"en", "*"} else None


def _quality(parameter: str) -> float:
    if not parameter.startswith("q="):
        return 1.0
    quality = parameter[2:]
    return min(1.0, float(quality)) if _QUALITY.fullmatch(quality) else 0.0
