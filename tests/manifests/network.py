"""What network policies allow, and the labels that the operators put on the pods of the servers.

The labels were read in the operators' sources: redis-operator 0.26 (`internal/k8sutils/labels.go`),
mariadb-operator 26.6 (`pkg/builder/labels`), RabbitMQ's cluster operator 2.22 (`internal/metadata/label.go`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.manifests.rendering import WORKLOADS, Manifest, render

Labels = dict[str, str]
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """A pod, or pods that are alike.

    Attributes:
        name: what the tests call it.
        labels: its labels.
        namespace: None for the overlay's.
    """

    name: str
    labels: Labels
    namespace: str | None = None


def our_pods(target: str) -> dict[str, Pod]:
    """Return the pods of an overlay's own workloads by the workload's name."""
    found = (item for item in render(target) if item["kind"] in WORKLOADS)
    return {
        item["metadata"]["name"]: Pod(
            item["metadata"]["name"], item["spec"]["template"]["metadata"]["labels"]
        )
        for item in found
    }


def operators_pods(target: str) -> dict[str, Pod]:
    """Return the pods that operators make of an overlay's resources."""
    return {pod.name: pod for item in render(target) for pod in _made_of(item)}


def _made_of(item: Manifest) -> Iterable[Pod]:
    name, own = item["metadata"]["name"], item["metadata"].get("labels", {})
    match item["kind"]:
        case "MariaDB":
            yield Pod("mariadb", {"app.kubernetes.io/name": "mariadb", "app.kubernetes.io/instance": name})
            exporter = {"app.kubernetes.io/name": "exporter", "app.kubernetes.io/instance": f"{name}-metrics"}
            yield Pod("mariadb-exporter", exporter)
        case "Backup":
            yield Pod("mariadb-backup", item["spec"].get("inheritMetadata", {}).get("labels", {}))
        case "RedisReplication":
            # All labels of the resource are copied.
            stable = {"app": name, "redis_setup_type": "replication", "role": "replication"}
            yield Pod("redis", stable | own)
        case "RedisSentinel":
            stable = {"app": f"{name}-sentinel", "redis_setup_type": "sentinel", "role": "sentinel"}
            yield Pod("redis-sentinel", stable | own)
        case "RabbitmqCluster":
            # Labels of the resource are copied, except for these.
            copied = {key: value for key, value in own.items() if not key.startswith("app.kubernetes.io")}
            fixed = {"name": name, "component": "rabbitmq", "part-of": "rabbitmq"}
            yield Pod(
                "rabbitmq", copied | {f"app.kubernetes.io/{key}": value for key, value in fixed.items()}
            )


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    """Return whether a label selector takes something with these labels."""
    for expression in selector.get("matchExpressions", []):
        value = labels.get(expression["key"])
        if value is None or (expression["operator"] == "In" and value not in expression["values"]):
            return False
    return set(selector.get("matchLabels", {}).items()) <= set(labels.items())


def policies_of(target: str, pod: Pod, direction: str) -> dict[str, Manifest]:
    """Return the policies that limit what a pod of the overlay receives ("Ingress") or opens ("Egress")."""
    return {
        item["metadata"]["name"]: item
        for item in render(target)
        if item["kind"] == "NetworkPolicy"
        and direction in item["spec"]["policyTypes"]
        and selects(item["spec"]["podSelector"], pod.labels)
    }


def allowed(target: str, source: Pod, destination: Pod, port: int) -> bool:
    """Return whether the policies of both ends let a TCP connection through."""
    return _lets(target, source, destination, port, "Egress") and _lets(
        target, destination, source, port, "Ingress"
    )


def _lets(target: str, limited: Pod, peer: Pod, port: int, direction: str) -> bool:
    if limited.namespace is not None:
        return True
    policies = policies_of(target, limited, direction)
    side, rules = ("from", "ingress") if direction == "Ingress" else ("to", "egress")
    return not policies or any(
        any(_is_peer(each, peer) for each in rule[side]) and _has_port(rule, port)
        for policy in policies.values()
        for rule in policy["spec"].get(rules, [])
    )


def _is_peer(entry: dict[str, Any], peer: Pod) -> bool:
    if "ipBlock" in entry:
        return False
    if "namespaceSelector" in entry:
        if peer.namespace is None or not selects(
            entry["namespaceSelector"], {NAMESPACE_LABEL: peer.namespace}
        ):
            return False
    elif peer.namespace is not None:
        return False
    return selects(entry.get("podSelector", {}), peer.labels)


def _has_port(rule: dict[str, Any], port: int) -> bool:
    ports = rule.get("ports")
    return ports is None or any(each["port"] <= port <= each.get("endPort", each["port"]) for each in ports)
