"""Reading the values of Yunpian's JSON, whose types differ by account, call and age of the endpoint.

Source: the vendor's SDKs, which convert every code to an integer and take a v2 answer without one for a
success (yunpian-python-sdk `ypapi.py`, yunpian-java-sdk `YunpianApi.java`); bodies quoted in public code.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

RMB = "RMB"

_CODE = re.compile(r"[+-]?[0-9]{1,9}(\.0+)?", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z_\-]{1,64}", re.ASCII)


def read_code(document: object) -> int | None:
    """Return the code of an answer, or None where it has none: `5`, `"5"` and `5.0` are the same."""
    code = document.get("code") if isinstance(document, dict) else None
    text = str(code).strip() if isinstance(code, int | str | Decimal) and not isinstance(code, bool) else ""
    return int(text.partition(".")[0]) if _CODE.fullmatch(text) else None


def read_sid(document: Mapping[str, Any]) -> str:
    """Return the id of a message as text, empty where there is none.

    It is a number in answers and pushes and a string in records; it may be null or missing.
    """
    return _read_id(document.get("sid"))


def read_uid(document: Mapping[str, Any]) -> str:
    """Return the id that was sent along with a message, empty where Yunpian does not give it back."""
    return _read_id(document.get("uid"))


def read_decimal(value: object, default: Decimal = Decimal(0)) -> Decimal:
    """Return a number that may be a string, or the default where it is missing or malformed."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return default
    return number if number.is_finite() else default


def read_unit(document: Mapping[str, Any]) -> str:
    """Return what an answer's amounts are in, `RMB` or `COUNT`; empty where it does not say."""
    unit = document.get("unit")
    return unit.strip().upper() if isinstance(unit, str) else ""


def read_items(document: object, member: str) -> list[Any] | None:
    """Return the items of an array, or None if it is none; one item may come without the array around it.

    Args:
        document: decoded JSON.
        member: what every item has, and no refusal.
    """
    if isinstance(document, dict) and member in document:
        return [document]
    return document if isinstance(document, list) else None


def _read_id(value: object) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""
