"""Each pod gets only the secrets that it needs, and the broker's users have the same rights everywhere."""

import base64
import json
import re
from typing import Any

import pytest

from tests.manifests.archives import ROOT
from tests.manifests.rendering import OVERLAYS, WORKLOADS, containers_of, of_kind

TEMPLATE = json.loads((ROOT / "deploy" / "rabbitmq" / "definitions.json").read_text())
SECRETS = {
    "gateway": {"GATEWAY_SECRET"},
    "auth": {"GATEWAY_SECRET", "MYSQL_URL", "REDIS_URL", "AUTH_AMQP_URL", "MESSAGE_SECRET", "CODE_SECRET"},
    "wait-for-migrations": {"MYSQL_URL"},
    "make-signing-key": set(),
    "migrate": {"MYSQL_URL"},
    "sms": {
        "REDIS_URL", "SMS_AMQP_URL", "MESSAGE_SECRET", "YUNPIAN_API_KEY", "YUNPIAN_ACCOUNTS",
        "YUNPIAN_CALLBACK_SECRET",
    },
}  # fmt: skip


@pytest.fixture(name="target", params=[f"overlays/{name}" for name in OVERLAYS])
def _target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def keys_of(container: dict[str, Any]) -> set[str]:
    sources = [variable.get("valueFrom", {}) for variable in container.get("env", [])]
    return {source["secretKeyRef"]["key"] for source in sources if "secretKeyRef" in source}


def test_a_pod_gets_only_the_secrets_that_it_needs(target: str) -> None:
    for workload in of_kind(target, *WORKLOADS).values():
        for container in containers_of(workload):
            if container["name"] in SECRETS:
                assert keys_of(container) == SECRETS[container["name"]], container["name"]
                assert not any("secretRef" in source for source in container.get("envFrom", []))


def without_passwords(definitions: dict[str, Any]) -> dict[str, Any]:
    users = [{name: user[name] for name in ("name", "tags")} for user in definitions["users"]]
    return {**definitions, "users": users}


def test_the_brokers_users_and_rights_are_those_of_the_definitions() -> None:
    [dev] = [item for name, item in of_kind("overlays/dev", "Secret").items() if "definitions" in name]
    [content] = dev["data"].values()
    assert without_passwords(json.loads(base64.b64decode(content))) == without_passwords(TEMPLATE)


def test_the_brokers_users_of_production_have_the_same_rights() -> None:
    """Apart from the administrator, whom the operator makes."""
    users = of_kind("overlays/production", "User")
    assert {name: "".join(user["spec"].get("tags", [])) for name, user in users.items()} == {
        user["name"]: user["tags"] for user in TEMPLATE["users"] if user["name"] != "dialpass"
    }
    permissions = of_kind("overlays/production", "Permission")
    assert permissions.keys() == users.keys()
    for expected in TEMPLATE["permissions"]:
        if expected["user"] == "dialpass":
            continue
        spec = permissions[expected["user"]]["spec"]
        rights = {name: expected[name] for name in ("configure", "write", "read")}
        assert (spec["vhost"], spec["permissions"]) == (expected["vhost"], rights)
        assert spec["userReference"] == {"name": expected["user"]}


def test_only_development_accepts_secrets_of_the_repository() -> None:
    for target in ("overlays/dev", "overlays/production"):
        allowed = {
            name
            for name, item in of_kind(target, "ConfigMap").items()
            if item["data"].get("ALLOW_DEVELOPMENT_SECRETS") == "true"
        }
        assert len(allowed) == (3 if target == "overlays/dev" else 0)


def test_services_listen_on_all_addresses_of_their_pods(target: str) -> None:
    maps = of_kind(target, "ConfigMap")
    opened = {re.sub(r"-\w{10}$", "", name) for name, item in maps.items()
              if item["data"].get("BIND_ADDRESS") == "*"}  # fmt: skip
    assert opened == {"gateway", "auth", "sms"}
