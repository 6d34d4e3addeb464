"""Reading a JSON body: everything that can be wrong with it, in words for its sender."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.auth.http import messages as texts
from shared.errors import NON_FIELD, InvalidRequest, UnsupportedMediaType
from shared.i18n import Text

_LONGEST_NAME = 64

_Model = TypeVar("_Model", bound=BaseModel)

# What pydantic finds, as we say it; `ctx` of the finding fills the placeholders.
_MESSAGES = {
    "missing": texts.REQUIRED,
    "string_type": texts.NOT_A_STRING,
    "string_too_short": texts.TOO_SHORT,
    "string_too_long": texts.TOO_LONG,
    "literal_error": texts.NOT_A_CHOICE,
}


class _DuplicateMembers(ValueError):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names


def check_content_type(header: str) -> None:
    """Accept JSON in UTF-8, and a missing header, which the origin's client may send.

    Raises:
        UnsupportedMediaType: the header names something else.
    """
    media_type, _, parameters = header.partition(";")
    if media_type.strip().lower() not in {"", "application/json"}:
        raise UnsupportedMediaType
    name, _, charset = parameters.strip().partition("=")
    if name.lower() == "charset" and charset.strip('" ').lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType


def parse(body: bytes, model: type[_Model], context: object) -> _Model:
    """Return the validated body.

    Args:
        body: the request's body, JSON in UTF-8.
        model: what it has to fit.
        context: what the model's validators need to know, such as allowed regions.

    Raises:
        InvalidRequest: naming every offending member with what is accepted.
    """
    document = _load_object(body)
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        raise InvalidRequest(_by_field(error.errors(include_url=False))) from None


def _load_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except _DuplicateMembers as error:
        raise InvalidRequest({name: [texts.DUPLICATE] for name in error.names}) from None
    except RecursionError:
        raise InvalidRequest({NON_FIELD: [texts.TOO_DEEP]}) from None
    except ValueError:  # UnicodeDecodeError and JSONDecodeError among them
        raise InvalidRequest({NON_FIELD: [texts.NOT_JSON]}) from None
    if not isinstance(document, dict):
        raise InvalidRequest({NON_FIELD: [texts.NOT_AN_OBJECT]})
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        raise _DuplicateMembers([name for name in twice if _printable(name)] or [NON_FIELD])
    return document


def _printable(name: str) -> bool:
    """Whether a member's name may be repeated in an answer: no lone surrogates, no long text."""
    return name.isprintable() and len(name) <= _LONGEST_NAME


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
    return _MESSAGES.get(problem["type"], texts.MALFORMED).fill(**details)
