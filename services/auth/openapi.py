"""The OpenAPI 3.1 document of the public API, made from the models that validate and answer.

Paths, methods, summaries and answers come from the signatures of the endpoints; requests, errors and notes
from their `Operation` decorators. `python -m services.auth openapi` prints the document, which is checked
in as `services/gateway/pages/openapi.json`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.auth.http.handler import Operation, Routes
from shared.errors import (
    BadGateway,
    GatewayTimeout,
    InvalidRequest,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
)

_VERBS = ("get", "post", "patch", "delete")
_PARAMETER = re.compile(r"\{(\w+)\}")
_SCHEMA = "#/components/schemas/{model}"
_RESPONSE = "#/components/responses/"
_WITH_BODY = (InvalidRequest, PayloadTooLarge, UnsupportedContentEncoding, UnsupportedMediaType)
_ALWAYS = (Unavailable, BadGateway, GatewayTimeout)
_RETRY_STATUSES = {429, 503}

_INFO = {
    "title": "Dialpass",
    "version": "1",
    "description": "Sign-up and sign-in by phone number. Paths work with and without the trailing slash; "
    "members that are not known are ignored; every answer carries `X-Request-ID`, the request's own "
    "where it has one. Messages are in English or Chinese, by `Accept-Language`.",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457: `type` is what a program branches on. Each offending member of the request is "
    "a member here with its messages; what concerns none is under `non_field_errors`.",
    "properties": {
        "type": {"type": "string", "examples": ["/problems/invalid-request"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "request_id": {"type": "string"},
        "retry_after": {"type": "integer", "description": "seconds, as in the header Retry-After"},
        "challenge": {"type": "object", "description": "for ALTCHA's widget"},
    },
    "required": ["type", "title", "status", "request_id"],
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "`token` of a sign-in; renewed by `POST /token/refresh/`.",
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One method of one path."""

    verb: str
    path: str
    summary: str
    answer: type[BaseModel] | None
    operation: Operation


def build(routes: Routes) -> Document:
    """Return the document of the routes.

    Raises:
        AttributeError: an endpoint is not decorated with `Operation`.
    """
    endpoints = list(_endpoints(routes))
    modes: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {}
    for endpoint in endpoints:
        if endpoint.operation.request:
            modes[endpoint.operation.request, "validation"] = None
        if endpoint.answer:
            modes[endpoint.answer, "serialization"] = None
    _, schemas = models_json_schema(list(modes), ref_template=_SCHEMA)
    paths: defaultdict[str, Document] = defaultdict(dict)
    refusals: Document = {}
    for endpoint in endpoints:
        grouped = _refusals(endpoint.verb, endpoint.operation)
        refusals |= {_name(slugs): _refusal(status, slugs) for status, slugs in grouped.items()}
        paths[endpoint.path][endpoint.verb] = _operation(endpoint, grouped)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": {**schemas["$defs"], "Problem": _PROBLEM},
            "responses": dict(sorted(refusals.items())),
            "securitySchemes": {"token": _TOKEN},
        },
    }


def _endpoints(routes: Routes) -> Iterator[_Endpoint]:
    for _, path, handler in routes:
        for verb in _VERBS:
            if method := getattr(handler, f"handle_{verb}", None):
                answer = get_type_hints(method)["return"]
                yield _Endpoint(
                    verb,
                    path,
                    _first_line(method.__doc__),
                    None if answer is NoneType else answer,
                    Operation.of(method),
                )


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].rstrip(".")


def _operation(endpoint: _Endpoint, refusals: dict[int, list[str]]) -> Document:
    operation = endpoint.operation
    described: Document = {
        "operationId": f"{endpoint.verb}_{re.sub(r'[^a-z]+', '_', endpoint.path).strip('_')}",
        "summary": endpoint.summary,
        "tags": [operation.tag],
        "responses": _success(endpoint.answer)
        | {str(status): {"$ref": _RESPONSE + _name(slugs)} for status, slugs in refusals.items()},
    }
    if operation.note:
        described["description"] = operation.note
    if operation.signed_in:
        described["security"] = [{"token": []}, {}] if operation.token_or_body else [{"token": []}]
    if parameters := [_parameter(name) for name in _PARAMETER.findall(endpoint.path)]:
        described["parameters"] = parameters
    if operation.request:
        schema = {"$ref": _SCHEMA.format(model=operation.request.__name__)}
        described["requestBody"] = {
            "required": not operation.token_or_body,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _parameter(name: str) -> Document:
    schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _refusals(verb: str, operation: Operation) -> dict[int, list[str]]:
    """Return the slugs of the problems that an operation may answer, by status."""
    problems: defaultdict[int, list[str]] = defaultdict(list)
    for error in (
        *operation.problems,
        *((Unauthorized, TooManyRequests) if operation.signed_in else ()),
        *(_WITH_BODY if operation.request else ()),
        *_ALWAYS,
    ):
        problems[error.status].append(error.slug)
    return dict(sorted(problems.items()))


def _name(slugs: list[str]) -> str:
    return ".".join(slugs)


def _success(answer: type[BaseModel] | None) -> Document:
    if answer is None:
        return {"204": {"description": "Done."}}
    schema = {"$ref": _SCHEMA.format(model=answer.__name__)}
    return {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}


def _refusal(status: int, slugs: list[str]) -> Document:
    kinds = {"properties": {"type": {"enum": [f"/problems/{slug}" for slug in slugs]}}}
    schema = {"allOf": [{"$ref": _SCHEMA.format(model="Problem")}, kinds]}
    refusal: Document = {
        "description": ", ".join(slugs),
        "content": {"application/problem+json": {"schema": schema}},
    }
    if status in _RETRY_STATUSES:
        refusal["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return refusal
