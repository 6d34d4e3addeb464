"""Network policies against the labels of real pods, of ours and of those that operators make."""

import pytest

from tests.manifests.network import Pod, allowed, operators_pods, our_pods, policies_of, selects
from tests.manifests.rendering import of_kind

PRODUCTION = "overlays/production"
OURS, SERVERS = our_pods(PRODUCTION), operators_pods(PRODUCTION)
PODS = OURS | SERVERS
ELSEWHERE = {
    name: Pod(name, {}, namespace=name)
    for name in ("monitoring", "keda", "mariadb-system", "redis-system", "rabbitmq-system", "other")
}
# Which server each name in a URL stands for is tested in test_servers.py.
NEEDED = [
    ("gateway", "auth", 8001), ("gateway", "sms", 8002),
    ("auth", "mariadb", 3306), ("migrate", "mariadb", 3306), ("mariadb-backup", "mariadb", 3306),
    ("mariadb-exporter", "mariadb", 3306), ("mariadb", "mariadb", 3306),
    ("mariadb-system", "mariadb", 3306), ("mariadb-system", "mariadb", 5555),
    ("auth", "redis", 6379), ("sms", "redis", 6379), ("redis", "redis", 6379),
    ("redis-sentinel", "redis", 6379), ("redis-system", "redis", 6379), ("monitoring", "redis", 9121),
    ("auth", "redis-sentinel", 26379), ("sms", "redis-sentinel", 26379), ("redis", "redis-sentinel", 26379),
    ("redis-sentinel", "redis-sentinel", 26379), ("redis-system", "redis-sentinel", 26379),
    ("auth", "rabbitmq", 5671), ("sms", "rabbitmq", 5671), ("sms", "rabbitmq", 15671),
    ("rabbitmq", "rabbitmq", 25672), ("rabbitmq", "rabbitmq", 4369), ("rabbitmq", "rabbitmq", 35677),
    ("rabbitmq-system", "rabbitmq", 15671), ("keda", "rabbitmq", 15671), ("monitoring", "rabbitmq", 15691),
    ("monitoring", "gateway", 8889), ("monitoring", "auth", 8001), ("monitoring", "sms", 8002),
]  # fmt: skip
REFUSED = [
    ("gateway", "mariadb", 3306), ("gateway", "redis", 6379), ("gateway", "redis-sentinel", 26379),
    ("gateway", "rabbitmq", 5671), ("other", "mariadb", 3306), ("other", "redis", 6379),
    ("other", "redis-sentinel", 26379), ("other", "rabbitmq", 5671), ("other", "rabbitmq", 25672),
    ("sms", "mariadb", 3306), ("migrate", "redis", 6379), ("auth", "mariadb", 5555),
    ("keda", "rabbitmq", 5671), ("other", "auth", 8001), ("other", "gateway", 8888),
    ("auth", "gateway", 8888),
]  # fmt: skip


def test_nothing_of_ours_is_without_policies_and_nothing_of_an_operator_is_under_ours() -> None:
    deny = of_kind(PRODUCTION, "NetworkPolicy")["default-deny"]["spec"]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert not deny.keys() & {"ingress", "egress"}
    for name, pod in OURS.items():
        for direction in ("Ingress", "Egress"):
            assert {"default-deny", name} <= policies_of(PRODUCTION, pod, direction).keys()
    for pod in SERVERS.values():
        assert not policies_of(PRODUCTION, pod, "Egress")
        assert policies_of(PRODUCTION, pod, "Ingress").keys() <= {pod.name}


def test_labels_that_every_resource_has_make_no_difference() -> None:
    """Labels added to all resources of an overlay are copied to the pods of Redis."""
    copied = {"app.kubernetes.io/part-of": "dialpass", "team": "accounts"}
    for policy in of_kind(PRODUCTION, "NetworkPolicy").values():
        assert not selects(policy["spec"]["podSelector"], copied)


@pytest.mark.parametrize("server", ["mariadb", "redis", "redis-sentinel", "rabbitmq"])
def test_each_server_has_a_policy_of_its_own(server: str) -> None:
    assert policies_of(PRODUCTION, SERVERS[server], "Ingress").keys() == {server}
    selector = of_kind(PRODUCTION, "NetworkPolicy")[server]["spec"]["podSelector"]
    assert {name for name, pod in PODS.items() if selects(selector, pod.labels)} == {server}


@pytest.mark.parametrize(("source", "destination", "port"), NEEDED, ids=str)
def test_a_needed_connection_is_allowed(source: str, destination: str, port: int) -> None:
    assert allowed(PRODUCTION, (PODS | ELSEWHERE)[source], PODS[destination], port)


@pytest.mark.parametrize(("source", "destination", "port"), REFUSED, ids=str)
def test_a_connection_that_nobody_needs_is_refused(source: str, destination: str, port: int) -> None:
    assert not allowed(PRODUCTION, (PODS | ELSEWHERE)[source], PODS[destination], port)


@pytest.mark.parametrize(
    "labels", [{"k8s-app": "kube-dns"}, {"k8s-app": "coredns"}, {"app.kubernetes.io/name": "coredns"}]
)
@pytest.mark.parametrize("name", OURS)
def test_every_pod_reaches_dns_whoever_installed_it(name: str, labels: dict[str, str]) -> None:
    assert allowed(PRODUCTION, OURS[name], Pod("dns", labels, namespace="kube-system"), 53)
    assert not allowed(PRODUCTION, OURS[name], Pod("dns", {}, namespace="kube-system"), 53)


def test_every_pod_reaches_the_dns_cache_of_its_node() -> None:
    rules = of_kind(PRODUCTION, "NetworkPolicy")["common"]["spec"]["egress"]
    (dns,) = (rule for rule in rules if {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"])
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
