"""References between manifests, and to the services and the queue."""

from typing import Any

import pytest
import yaml

from shared.amqp.topology import SEND_CODE_QUEUE
from tests.manifests.rendering import (
    K8S,
    OVERLAYS,
    WORKLOADS,
    Manifest,
    containers_of,
    of_kind,
    pod_of,
    render,
)

PRODUCTION = "overlays/production"
SERVICES = ("gateway", "auth", "sms")


@pytest.fixture(name="target", params=[f"overlays/{name}" for name in OVERLAYS])
def _target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def labels_of(workload: Manifest) -> set[tuple[str, str]]:
    return set(workload["spec"]["template"]["metadata"]["labels"].items())


def references(value: Any, kind: str) -> set[tuple[str, str | None]]:
    """Return the name and key of every reference of a kind, at any depth."""
    found: set[tuple[str, str | None]] = set()
    if isinstance(value, dict):
        if kind in value and "name" in value[kind]:
            found.add((value[kind]["name"], value[kind].get("key")))
        for member in value.values():
            found |= references(member, kind)
    if isinstance(value, list):
        for item in value:
            found |= references(item, kind)
    return found


def test_every_service_selects_a_port_of_a_pod(target: str) -> None:
    workloads = of_kind(target, *WORKLOADS).values()
    for name, service in of_kind(target, "Service").items():
        selector = set(service["spec"]["selector"].items())
        chosen = [workload for workload in workloads if selector <= labels_of(workload)]
        assert len(chosen) == 1, name
        ports = [port for container in containers_of(chosen[0]) for port in container.get("ports", [])]
        known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        if known:
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= known, name


def test_the_public_service_does_not_expose_the_ops_port(target: str) -> None:
    (port,) = of_kind(target, "Service")["gateway"]["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_every_referenced_secret_is_created(target: str) -> None:
    made = set(of_kind(target, "Secret")) | set(of_kind(target, "ExternalSecret"))
    for name, workload in of_kind(target, *WORKLOADS).items():
        read = {secret for secret, _ in references(workload, "secretKeyRef")}
        read |= {volume["secret"]["secretName"] for volume in pod_of(workload).get("volumes", [])
                 if volume.get("secret")}  # fmt: skip
        assert read - made == set(), name


def test_every_service_account_has_no_token(target: str) -> None:
    accounts = of_kind(target, "ServiceAccount")
    for workload in of_kind(target, "Deployment", "Job").values():
        if account := pod_of(workload).get("serviceAccountName"):
            assert accounts[account]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("service", SERVICES)
def test_a_rollout_removes_no_pod_before_another_is_ready(service: str) -> None:
    update = of_kind(PRODUCTION, "Deployment")[service]["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize("service", SERVICES)
def test_draining_a_node_evicts_one_pod_of_a_service_at_a_time(service: str) -> None:
    budget = of_kind(PRODUCTION, "PodDisruptionBudget")[service]["spec"]
    assert budget["maxUnavailable"] == 1
    selector = set(budget["selector"]["matchLabels"].items())
    assert selector <= labels_of(of_kind(PRODUCTION, "Deployment")[service])


def test_a_pod_that_is_not_ready_blocks_no_drain(target: str) -> None:
    for name, budget in of_kind(target, "PodDisruptionBudget").items():
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", name


@pytest.mark.parametrize("service", SERVICES)
def test_pods_of_a_service_are_spread_over_zones_and_nodes(service: str) -> None:
    rules = pod_of(of_kind(PRODUCTION, "Deployment")[service])["topologySpreadConstraints"]
    assert {rule["topologyKey"] for rule in rules} == {
        "topology.kubernetes.io/zone", "kubernetes.io/hostname"
    }  # fmt: skip


def test_each_service_has_one_autoscaler_and_no_fixed_replicas() -> None:
    scaled = {
        item["spec"]["scaleTargetRef"]["name"]
        for item in of_kind(PRODUCTION, "HorizontalPodAutoscaler", "ScaledObject").values()
    }
    assert scaled == set(SERVICES)
    for name in scaled:
        assert "replicas" not in of_kind(PRODUCTION, "Deployment")[name]["spec"]


def test_no_autoscaler_goes_below_what_runs_without_one() -> None:
    without = of_kind("components/network-policies", "Deployment")
    for name, item in of_kind(PRODUCTION, "HorizontalPodAutoscaler", "ScaledObject").items():
        spec = item["spec"]
        least = spec.get("minReplicas", spec.get("minReplicaCount"))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount"))
        assert 2 <= without[name]["spec"]["replicas"] <= least < most


def test_the_worker_is_scaled_by_its_queue() -> None:
    (trigger,) = of_kind(PRODUCTION, "ScaledObject")["sms"]["spec"]["triggers"]
    assert (trigger["type"], trigger["metadata"]["protocol"]) == ("rabbitmq", "http")
    assert trigger["metadata"]["queueName"] == SEND_CODE_QUEUE
    authentication = of_kind(PRODUCTION, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    (reference,) = (each for each in authentication["spec"]["secretTargetRef"] if each["parameter"] == "host")
    secret = of_kind(PRODUCTION, "ExternalSecret")[reference["name"]]
    assert reference["key"] in secret["spec"]["target"]["template"]["data"]


def test_the_pods_of_auth_wait_for_the_migration_job(target: str) -> None:
    waiting = pod_of(of_kind(target, "Deployment")["auth"])["initContainers"]
    migrating = pod_of(of_kind(target, "Job")["migrate"])["containers"]
    (wait,) = (container for container in waiting if container["name"] == "wait-for-migrations")
    assert wait["args"][:3] == ["services.auth", "migrate", "--wait"]
    assert {wait["image"]} == {container["image"] for container in migrating}


def test_public_access_has_the_host_of_its_certificate() -> None:
    (host,) = of_kind(PRODUCTION, "Certificate")["gateway"]["spec"]["dnsNames"]
    secret = of_kind(PRODUCTION, "Certificate")["gateway"]["spec"]["secretName"]
    gateway = of_kind(PRODUCTION, "Gateway")["public"]["spec"]
    assert {listener["hostname"] for listener in gateway["listeners"]} == {host}
    assert [each["tls"]["certificateRefs"] for each in gateway["listeners"] if "tls" in each] == [
        [{"name": secret}]
    ]
    for route in of_kind(PRODUCTION, "HTTPRoute").values():
        assert route["spec"]["hostnames"] == [host]
    ingress = of_kind("components/ingress", "Ingress")["gateway"]["spec"]
    assert ingress["tls"] == [{"hosts": [host], "secretName": secret}]


def test_certificates_are_proved_through_what_is_public() -> None:
    def proof(target: str) -> Any:
        (solver,) = of_kind(target, "Issuer")["letsencrypt"]["spec"]["acme"]["solvers"]
        return solver["http01"]

    (parent,) = proof(PRODUCTION)["gatewayHTTPRoute"]["parentRefs"]
    listeners = of_kind(PRODUCTION, "Gateway")[parent["name"]]["spec"]["listeners"]
    assert {each["protocol"] for each in listeners if each["name"] == parent["sectionName"]} == {"HTTP"}
    assert proof("components/ingress")["ingress"]["name"] in of_kind("components/ingress", "Ingress")


def test_a_retired_ingress_controller_is_used_nowhere() -> None:
    for path in K8S.rglob("*.yaml"):
        assert "nginx.ingress" not in path.read_text(), path


def test_metrics_are_scraped_from_the_ops_ports() -> None:
    selector = of_kind(PRODUCTION, "ServiceMonitor")["dialpass"]["spec"]["selector"]["matchLabels"]
    collected = {
        service["metadata"]["labels"]["app.kubernetes.io/name"]: service["spec"]["ports"][0]["port"]
        for service in of_kind(PRODUCTION, "Service").values()
        if set(selector.items()) <= set(service["metadata"]["labels"].items())
    }
    assert collected == {"gateway": 8889, "auth": 8001, "sms": 8002}


def test_prometheus_can_select_what_it_takes_by_one_label() -> None:
    labels = [
        item["metadata"]["labels"]["release"]
        for item in render(PRODUCTION)
        if item["kind"] in {"ServiceMonitor", "PrometheusRule"}
    ]
    metrics = of_kind(PRODUCTION, "MariaDB")["mariadb"]["spec"]["metrics"]
    assert len(labels) == 2
    assert {*labels, metrics["serviceMonitor"]["prometheusRelease"]} == {labels[0]}


def test_the_readme_names_every_secret() -> None:
    secrets = {name for name, _ in references(list(of_kind(PRODUCTION, *WORKLOADS).values()), "secretKeyRef")}
    text = (K8S / "README.md").read_text()
    assert {name for name in secrets if f"`{name}`" not in text} == set()


def test_the_production_overlay_contains_no_secret() -> None:
    for path in (K8S / "overlays" / "production").rglob("*.yaml"):
        kinds = {item["kind"] for item in yaml.safe_load_all(path.read_text())}
        assert "Secret" not in kinds
    assert of_kind(PRODUCTION, "Secret") == {}
