"""The versions that the README asks for against the members that the manifests use."""

import re
from typing import Any

import pytest

from tests.manifests.rendering import K8S, TARGETS, render

KUBERNETES = "Kubernetes"
# What the manifests use, and the first version that has it, found by validating them against the definitions
# of releases: kind, member, component, version.
FIRST = [
    ("PodDisruptionBudget", "spec.unhealthyPodEvictionPolicy", KUBERNETES, "1.27"),
    ("Deployment", "spec.template.spec.topologySpreadConstraints.matchLabelKeys", KUBERNETES, "1.27"),
    ("Job", "spec.podFailurePolicy", KUBERNETES, "1.26"),
    ("NetworkPolicy", "spec.ingress.ports.endPort", KUBERNETES, "1.25"),
    ("ScaledObject", "spec.fallback.behavior", "KEDA", "2.17"),
    ("MariaDB", "spec.replication.semiSyncWaitPoint", "mariadb-operator", "25.10"),
    ("MariaDB", "spec.replication.primary.autoFailover", "mariadb-operator", "25.10"),
    ("RedisReplication", "spec.pdb", "redis-operator", "0.19"),
    # The member is older, but before this version Sentinels and servers with TLS did not find each other.
    ("RedisSentinel", "spec.TLS", "redis-operator", "0.22"),
    ("ExternalSecret", "apiVersion=external-secrets.io/v1", "External Secrets", "0.16"),
    ("HTTPRoute", "spec.rules.timeouts", "Gateway API", "1.2"),
    ("Issuer", "spec.acme.solvers.http01.gatewayHTTPRoute.parentRefs", "cert-manager", "1.15"),
    ("RabbitmqCluster", "spec.tls.disableNonTLSListeners", "RabbitMQ cluster operator", "2.5"),
    # Before, a changed password in the Secret changed nothing.
    ("User", "spec.importCredentialsSecret", "RabbitMQ messaging topology operator", "1.20"),
    ("ServiceMonitor", "spec.endpoints", "Prometheus operator", "0.50"),
]  # fmt: skip
USED = [item for target in TARGETS for item in render(target)]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def documented() -> dict[str, str]:
    """Return the table of the README."""
    return dict(re.findall(r"^\| ([\w -]+?) \| ([\d.]+) \|", (K8S / "README.md").read_text(), re.MULTILINE))


def has(value: Any, path: str) -> bool:
    """Return whether a member exists, in any item of lists on the way; `name=value` asks for a value."""
    if isinstance(value, list):
        return any(has(item, path) for item in value)
    first, _, rest = path.partition(".")
    if "=" in path:
        name, _, wanted = path.partition("=")
        return bool(value.get(name) == wanted)
    if not isinstance(value, dict) or first not in value:
        return False
    return not rest or has(value[first], rest)


@pytest.mark.parametrize(("kind", "member", "component", "first"), FIRST)
def test_the_readme_asks_for_a_version_that_has_every_member(
    kind: str, member: str, component: str, first: str
) -> None:
    assert any(has(item, member) for item in USED if item["kind"] == kind), "nothing uses it any more"
    assert version(documented()[component]) >= version(first)


def test_every_custom_resource_belongs_to_a_component_with_a_version() -> None:
    custom = {item["kind"] for item in USED if "." in item["apiVersion"].removesuffix(".k8s.io/v1")}
    native = {"NetworkPolicy", "Ingress", "HorizontalPodAutoscaler"}
    with_version = {kind for kind, *_ in FIRST}
    same_component = {
        "TriggerAuthentication": "ScaledObject", "Backup": "MariaDB", "Gateway": "HTTPRoute",
        "Certificate": "Issuer", "Permission": "User", "PrometheusRule": "ServiceMonitor",
    }  # fmt: skip
    assert {same_component.get(kind, kind) for kind in custom - native} <= with_version
