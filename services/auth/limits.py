"""Limits written as text, such as `3/hour,5/day`, and values that depend on the dial code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, TypeVar

from limits.util import parse_many
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

ANY_DIAL_CODE = "*"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` events in any `window_ms` milliseconds."""

    amount: int
    window_ms: int


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Return the limits of a text such as `3/hour,5/day`.

    Raises:
        ValueError: the text has another form.
    """
    return tuple(Limit(item.amount, item.get_expiry() * 1000) for item in parse_many(text))


def by_dial_code(parse: Callable[[str], _Value]) -> Callable[[str], Mapping[str, _Value]]:
    """Return a parser of `86=…,*=…`, which returns a mapping; `*` stands for all other dial codes.

    The parser raises ValueError for text of another form.
    """

    def parse_all(text: str) -> Mapping[str, _Value]:
        pairs = [item.strip().partition("=") for item in text.split(",")]
        values = {code.strip(): parse(value) for code, _, value in pairs}
        if ANY_DIAL_CODE not in values or not all(_is_dial_code(code) for code in values):
            raise ValueError(text)
        return values

    return parse_all


def of_dial_code(values: Mapping[str, _Value], dial_code: str) -> _Value:
    """Return the value of a dial code."""
    return values.get(dial_code, values[ANY_DIAL_CODE])


def _is_dial_code(text: str) -> bool:
    return text == ANY_DIAL_CODE or text.isdecimal()


def _one_limit(text: str) -> Limit:
    (limit,) = parse_limits(text)
    return limit


def _positive_limit(text: str) -> Limit:
    limit = _one_limit(text)
    if limit.amount == 0:
        raise ValueError(text)
    return limit


def _price(text: str) -> Decimal:
    if not text.replace(".", "", 1).isdecimal():
        raise ValueError(text)
    return Decimal(text)


# Types of settings.
Limits = Annotated[tuple[Limit, ...], NoDecode, BeforeValidator(parse_limits)]
Rate = Annotated[Limit, NoDecode, BeforeValidator(_positive_limit)]
LimitByDialCode = Annotated[Mapping[str, Limit], NoDecode, BeforeValidator(by_dial_code(_one_limit))]
PriceByDialCode = Annotated[Mapping[str, Decimal], NoDecode, BeforeValidator(by_dial_code(_price))]
