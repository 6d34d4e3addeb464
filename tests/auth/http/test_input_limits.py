"""Every string of a request has a maximum length, which is checked before any work on the string."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from services.auth import i18n, routes
from services.auth.http.body import parse
from services.auth.http.fields import RequestBody, ValidationContext
from services.auth.sessions import endpoints as sessions
from services.auth.sign_in.schemas import LoginRequest
from services.auth.tokens import endpoints as tokens
from shared.errors import NON_FIELD, InvalidRequest
from tests.support.work import MAX_INSTRUCTIONS, instructions

RULES = ValidationContext({"CN", "US"}, frozenset())
SIZE = 30_000
# What is slow, ambiguous or not storable in large numbers.
UNITS = {
    "combining marks": "\u0301\u0316", "letters": "a", "digits": "1", "signs": "+", "blanks": " ",
    "dashes": "-", "full-width": "１", "decomposed": "가", "hangul": "각", "invisible": "\u200b",
    "surrogates": "\ud800", "nul": "\0", "emoji": "👨\u200d", "case": "İ", "dots": "a.", "percent": "%41",
    "base64": "QUFB", "braces": "[",
}  # fmt: skip


def all_models(base: type[BaseModel] = RequestBody) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from all_models(model)


MODELS = list(all_models())
STRINGS = [
    (model, name)
    for model in MODELS
    for name, schema in model.model_json_schema()["properties"].items()
    if '"maxLength"' in json.dumps(schema)
]


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas inside it."""
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from schemas(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from schemas(inner)


def is_bounded(schema: dict[str, Any]) -> bool:
    if schema.get("type") == "array":
        return "maxItems" in schema
    if schema.get("type") == "string":
        return bool({"maxLength", "enum", "const"} & set(schema))
    # A member of any type, or an object with members of any name.
    return not (schema.get("type") == "object" and "properties" not in schema)


def test_the_models_of_all_domains_are_found() -> None:
    assert {model.__name__ for model in MODELS} >= {"LoginRequest", "RegisterRequest", "TokenRequest"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_string_has_a_maximum(model: type[BaseModel]) -> None:
    document = model.model_json_schema()
    assert [schema for schema in schemas(document) if not is_bounded(schema)] == []
    assert all(set(member) - {"default", "title"} for member in document["properties"].values()), "any type"


@pytest.mark.parametrize(("model", "name"), STRINGS, ids=str)
@pytest.mark.parametrize("unit", UNITS)
def test_nothing_is_done_with_a_longer_string(model: type[BaseModel], name: str, unit: str) -> None:
    def body(size: int) -> bytes:
        return json.dumps({name: (UNITS[unit] * size)[:size]}).encode()

    with pytest.raises(InvalidRequest) as refusal:
        parse(body(SIZE), model, RULES)
    assert refusal.value.fields[name]
    once, twice = (instructions(parse, body(size), model, RULES) for size in (SIZE, 2 * SIZE))
    # The difference is that of finalisers, which run at any time.
    assert twice <= once + 1000 < MAX_INSTRUCTIONS


@pytest.mark.parametrize(("model", "name"), STRINGS, ids=str)
@pytest.mark.parametrize("unit", UNITS)
def test_little_is_done_with_the_longest_string(model: type[BaseModel], name: str, unit: str) -> None:
    (longest,) = {
        schema["maxLength"]
        for schema in schemas(model.model_json_schema()["properties"][name])
        if "maxLength" in schema
    }
    body = json.dumps({name: (UNITS[unit] * longest)[:longest]}).encode()
    assert instructions(parse, body, model, RULES) < MAX_INSTRUCTIONS


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 13_000,
        b'{"a":[' * 10_000,
        b"[" * 65_000,
        b'{"a":[' + b"{}," * 21_000 + b"{}]}",
        b"{" + b",".join(b'"%x":1' % number for number in range(7_000)) + b"}",
        b"{" + b",".join(b'"%x":1,"%x":1' % (number, number) for number in range(3_500)) + b"}",
        b'{"a":[' + b",".join([b"1"] * 32_000) + b"]}",
        b'{"a":[' + b",".join([b"9" * 4300] * 15) + b"]}",
        b'{"a":' + b"9" * 65_000 + b"}",
        b'{"a":0.' + b"9" * 65_000 + b"}",
        b'{"a":1e' + b"9" * 65_000 + b"}",
        b'{"a":"' + b"\\u0301" * 10_900 + b'"}',
        b'{"a":"' + b"\\ud800" * 10_900 + b'"}',
        b'{"' + b"x" * 65_000 + b'":1}',
    ],
    ids=[
        "objects in objects", "objects in arrays", "arrays in arrays", "many objects", "many members",
        "many duplicates", "many numbers", "many long numbers", "a long number", "a long fraction",
        "a long exponent", "escapes", "surrogates", "a long name",
    ],
)  # fmt: skip
def test_a_body_of_64_kib_is_parsed_in_few_steps(body: bytes) -> None:
    assert instructions(parse, body, LoginRequest, RULES) < MAX_INSTRUCTIONS


def test_the_answer_names_few_of_many_duplicates() -> None:
    members = ",".join(f'"m{number}":1,"m{number}":1' for number in range(3000))
    with pytest.raises(InvalidRequest) as refusal:
        parse(f"{{{members}}}".encode(), LoginRequest, RULES)
    assert list(refusal.value.fields) == [f"m{number}" for number in range(10)]


@pytest.mark.parametrize("name", ["type", "title", "status", "request_id", "errors", "retry_after"])
def test_a_duplicate_does_not_replace_a_member_of_the_problem(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(f'{{"{name}": 1, "{name}": 2}}'.encode(), LoginRequest, RULES)
    assert refusal.value.fields == {NON_FIELD: [i18n.DUPLICATE]}


@pytest.mark.parametrize("password", ["x", "x" * 512, "\u1f82" * 128, "\u03b1\u0313\u0300\u0345" * 128])
def test_a_password_at_sign_in_may_be_as_long_as_one_of_128_decomposed_characters(password: str) -> None:
    body = json.dumps({"mobile": "13800000000", "password": password}).encode()
    assert parse(body, LoginRequest, RULES).password == password


def test_a_longer_password_at_sign_in_is_refused_by_name() -> None:
    body = json.dumps({"mobile": "13800000000", "password": "x" * 513}).encode()
    with pytest.raises(InvalidRequest) as refusal:
        parse(body, LoginRequest, RULES)
    assert refusal.value.fields == {"password": [i18n.TOO_LONG.fill(max_length=512)]}


PATTERNS = [
    pattern for pattern, _, _ in routes.PUBLIC_ROUTES + sessions.INTERNAL_ROUTES + tokens.INTERNAL_ROUTES
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_parameter_of_a_path_has_a_length(pattern: str) -> None:
    parameters = re.findall(r"\((.*?)\)", pattern)
    assert [group for group in parameters if not re.fullmatch(r"\[[^\]]+\]\{(\d+,)?\d+\}", group)] == []


@pytest.mark.parametrize(("model", "name"), STRINGS, ids=str)
def test_a_secret_is_in_no_representation(model: type[BaseModel], name: str) -> None:
    """Representations get into logs and tracebacks."""
    secret = {"code", "password", "old_password", "refresh_token", "token"}
    assert model.model_fields[name].repr is (name not in secret)
