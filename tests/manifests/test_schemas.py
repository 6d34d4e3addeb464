"""Manifests are validated against the schemas of Kubernetes and of the operators."""

import pytest
from jsonschema import Draft7Validator

from tests.manifests.archives import NEWEST, definitions, schema_of
from tests.manifests.rendering import TARGETS, Manifest, render
from tests.manifests.test_versions import documented


def problems(manifest: Manifest, kubernetes: str = NEWEST) -> list[str]:
    validator = Draft7Validator(schema_of(manifest, kubernetes), registry=definitions(kubernetes))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(manifest)]


@pytest.mark.parametrize("kubernetes", [documented()["Kubernetes"], NEWEST])
@pytest.mark.parametrize("target", TARGETS)
def test_each_manifest_matches_its_schema(target: str, kubernetes: str) -> None:
    found = {
        f"{item['kind']} {item['metadata']['name']}": problems(item, kubernetes) for item in render(target)
    }
    assert {name: what for name, what in found.items() if what} == {}


def test_a_misspelt_member_is_reported() -> None:
    (deployment,) = (item for item in render("overlays/production") if item["metadata"]["name"] == "sms"
                     and item["kind"] == "Deployment")  # fmt: skip
    assert problems(deployment) == []
    broken = {**deployment, "spec": {**deployment["spec"], "replica": 3}}
    assert "'replica' was unexpected" in problems(broken)[0]
