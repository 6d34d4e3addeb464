"""The Yunpian accounts beyond the first, as one variable names them."""

import re
from dataclasses import dataclass

from pydantic import HttpUrl, SecretStr, TypeAdapter

FIRST = "main"
_ENTRY = re.compile(r"(?P<name>[a-z][a-z0-9_-]{0,19})=(?P<key>[^\s@,=]{8,64})(?:@(?P<url>https?://\S+))?")


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account.

    Attributes:
        name: what metrics, logs and records call it.
        api_key: its key.
        base_url: its URL, where it differs from that of the first account.
    """

    name: str
    api_key: SecretStr
    base_url: str = ""


def parse_accounts(value: str) -> tuple[AccountEntry, ...]:
    """Return the accounts in `name=key, name=key@url`.

    Raises:
        ValueError: it is malformed, or a name comes twice.
    """
    entries = tuple(_parse(entry.strip()) for entry in value.split(",") if entry.strip())
    names = {FIRST, *(entry.name for entry in entries)}
    if len(names) != len(entries) + 1:
        raise ValueError
    return entries


def _parse(entry: str) -> AccountEntry:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError
    url = (match["url"] or "").rstrip("/")
    if url:
        TypeAdapter(HttpUrl).validate_python(url)
    return AccountEntry(match["name"], SecretStr(match["key"]), url)
