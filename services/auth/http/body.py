"""Parsing JSON bodies, with a message for everything that can be wrong."""

import json
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.auth import i18n
from shared.errors import NON_FIELD, InvalidRequest
from shared.i18n import Text

_LONGEST_NAME = 64
# Of the names that are reported as duplicates. Otherwise an answer could be a multiple of its request.
_MOST_DUPLICATES = 10
# Members of every problem document, which the name of a duplicate must not replace.
_RESERVED_NAMES = frozenset(
    {"type", "title", "status", "detail", "instance", "request_id", "errors", "retry_after", "challenge"}
)

_Model = TypeVar("_Model", bound=BaseModel)

# Messages by pydantic's error type; the error's `ctx` fills the placeholders.
_MESSAGES = {
    "missing": i18n.REQUIRED,
    "string_type": i18n.NOT_A_STRING,
    "string_too_short": i18n.TOO_SHORT,
    "string_too_long": i18n.TOO_LONG,
    "string_unicode": i18n.NOT_UNICODE,
    "literal_error": i18n.NOT_A_CHOICE,
}


class _DuplicateMembers(ValueError):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names


def parse(body: bytes, model: type[_Model], context: object) -> _Model:
    """Return the validated body.

    Args:
        body: the request's body, JSON in UTF-8, with or without a byte order mark.
        model: the model that validates it.
        context: pydantic's validation context.

    Raises:
        InvalidRequest: names every offending member and what is accepted.
    """
    document = _load_object(body)
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        raise InvalidRequest(_by_field(error.errors(include_url=False))) from None


def _load_object(body: bytes) -> dict[str, Any]:
    try:
        # Some clients begin with a byte order mark, which may be skipped (RFC 8259 §8.1).
        document = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse)
    except _DuplicateMembers as error:
        raise InvalidRequest({name: [i18n.DUPLICATE] for name in error.names}) from None
    except RecursionError:
        raise InvalidRequest({NON_FIELD: [i18n.TOO_DEEP]}) from None
    except ValueError:  # UnicodeDecodeError and JSONDecodeError among them
        raise InvalidRequest({NON_FIELD: [i18n.NOT_JSON]}) from None
    if not isinstance(document, dict):
        raise InvalidRequest({NON_FIELD: [i18n.NOT_AN_OBJECT]})
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        named = list(islice((name for name in twice if _can_be_named(name)), _MOST_DUPLICATES))
        raise _DuplicateMembers(named or [NON_FIELD])
    return document


def _can_be_named(name: str) -> bool:
    """Return whether a member's name may be repeated in an answer."""
    return len(name) <= _LONGEST_NAME and name.isprintable() and name not in _RESERVED_NAMES


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON (RFC 8259 §6)."""
    raise ValueError(constant)


def _by_field(problems: list[ErrorDetails]) -> dict[str, list[Text]]:
    fields: dict[str, list[Text]] = {}
    for problem in problems:
        name = str(problem["loc"][0]) if problem["loc"] else NON_FIELD
        fields.setdefault(name, []).append(_message(problem))
    return fields


def _message(problem: ErrorDetails) -> Text:
    details = problem.get("ctx", {})
    if isinstance(text := details.get("text"), Text):
        return text
    return _MESSAGES.get(problem["type"], i18n.MALFORMED).fill(**details)
