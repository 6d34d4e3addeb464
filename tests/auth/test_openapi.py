"""The description of the API: complete, valid, and the one that is checked in."""

import json
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from services.auth.openapi import build
from services.auth.routes import PUBLIC_ROUTES
from services.gateway.routes import AUTH_PREFIXES, TokenRule

CHECKED_IN = Path(__file__).parents[2] / "services" / "gateway" / "pages" / "openapi.json"
DOCUMENT = build(PUBLIC_ROUTES)
VERBS = ("get", "post", "patch", "delete")


def test_the_checked_in_description_is_the_models() -> None:
    assert json.loads(CHECKED_IN.read_text()) == DOCUMENT, "run: python -m services.auth openapi"


def test_the_description_is_openapi_3_1() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_endpoint_is_described_and_nothing_else() -> None:
    served = {
        (verb, path)
        for _, path, handler in PUBLIC_ROUTES
        for verb in VERBS
        if hasattr(handler, f"handle_{verb}")
    }
    described = {(verb, path) for path, item in DOCUMENT["paths"].items() for verb in item}
    assert served == described


def test_what_the_gateway_wants_a_token_for_is_described_so() -> None:
    for path, item in DOCUMENT["paths"].items():
        prefix = max((one for one in AUTH_PREFIXES if path.startswith(one)), key=len)
        for operation in item.values():
            assert ("security" in operation) == (AUTH_PREFIXES[prefix] is TokenRule.REQUIRED), path


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_operation_names_its_answer_and_its_problems(path: str) -> None:
    for operation in DOCUMENT["paths"][path].values():
        assert operation["summary"]
        statuses = set(operation["responses"])
        assert statuses & {"200", "204"}
        assert {"502", "503", "504"} <= statuses
        assert ("requestBody" in operation) == ("413" in statuses)


def test_every_endpoint_that_redeems_a_code_describes_its_throttle() -> None:
    redeeming = {
        ("post", "/register/"),
        ("post", "/login/code/"),
        ("post", "/password/reset/"),
        ("post", "/me/mobile/"),
        ("delete", "/me/"),
    }
    for verb, path in redeeming:
        answer = DOCUMENT["paths"][path][verb]["responses"]["429"]
        assert "too-many-attempts" in answer["$ref"], path
