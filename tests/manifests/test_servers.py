"""The servers against the services that use them: names, certificates, limits, and what keeps their data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from pydantic import TypeAdapter

from services.auth.settings import AuthSettings
from shared.server_urls import parse_sentinel_url
from shared.settings import AmqpUrls, MysqlUrl, RedisUrl
from tests.manifests.archives import ROOT
from tests.manifests.rendering import K8S, Manifest, containers_of, kustomize, of_kind, pod_of, render
from tests.support.certificates import Authority

PRODUCTION = "overlays/production"
SERVICES, SERVERS = K8S / PRODUCTION, K8S / PRODUCTION / "servers"
NAMESPACE = "dialpass"
MARIADB_NAMES = ("mariadb", "mariadb-primary", "mariadb-secondary")
UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
SERVER_KINDS = {
    "Namespace",
    "MariaDB",
    "RedisReplication",
    "RedisSentinel",
    "RabbitmqCluster",
    "PersistentVolumeClaim",
}


def texts(value: Any) -> Iterator[str]:
    """Yield every text at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def server_urls() -> dict[str, list[str]]:
    """Return the URLs in the services' secrets by the key of the secret, each node's separately."""
    found: dict[str, list[str]] = {}
    for secret in of_kind(PRODUCTION, "ExternalSecret").values():
        data = secret["spec"].get("target", {}).get("template", {}).get("data", {})
        for key, text in data.items():
            if "://" in text:
                found[key] = re.sub(r"\{\{[^}]*\}\}", "secret", text).split(",")
    return found


URLS = server_urls()
ALL_URLS = [(key, url) for key, urls in URLS.items() for url in urls]


def test_there_are_urls_for_every_server() -> None:
    assert URLS.keys() == {"MYSQL_URL", "REDIS_URL", "AUTH_AMQP_URL", "SMS_AMQP_URL", "MANAGEMENT_URL"}


@pytest.mark.parametrize(("key", "url"), ALL_URLS)
def test_hosts_are_full_names_in_the_overlays_namespace(key: str, url: str) -> None:
    """KEDA, for one, looks from its own namespace."""
    host = urlsplit(url).hostname or ""
    assert host.endswith(f".{NAMESPACE}.svc"), key


def test_every_name_of_a_service_is_in_the_overlays_namespace() -> None:
    assert {item["metadata"]["name"] for item in render(PRODUCTION) if item["kind"] == "Namespace"} == {
        NAMESPACE
    }
    for item in render(PRODUCTION):
        for text in texts(item):
            assert set(re.findall(r"([\w-]+)\.svc\b", text)) <= {NAMESPACE}, text


@pytest.mark.parametrize(("key", "url"), ALL_URLS)
def test_every_url_is_encrypted_and_its_host_is_in_a_certificate(key: str, url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if key == "MYSQL_URL":
        assert parse_qs(parts.query)["tls"] == ["verify"]
        # The operator has a certificate made for these.
        assert host in {f"{name}.{NAMESPACE}.svc" for name in MARIADB_NAMES}
        tls = of_kind(PRODUCTION, "MariaDB")["mariadb"]["spec"]["tls"]
        assert (tls["enabled"], tls["required"]) == (True, True)
        return
    assert parts.scheme in {"rediss+sentinel", "amqps", "https"}
    certificate = "redis" if key == "REDIS_URL" else "rabbitmq"
    assert host in of_kind(PRODUCTION, "Certificate")[certificate]["spec"]["dnsNames"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("MYSQL_URL", MysqlUrl),
        ("REDIS_URL", RedisUrl),
        ("AUTH_AMQP_URL", AmqpUrls),
        ("SMS_AMQP_URL", AmqpUrls),
    ],
)
def test_the_services_take_the_urls(key: str, kind: Any, tmp_path: Path) -> None:
    authority = str(Authority(tmp_path, "an authority").ca)
    url = re.sub(r"=/etc/dialpass/tls/[a-z.-]+", f"={authority}", ",".join(URLS[key]))
    TypeAdapter(kind).validate_python(url)


def test_sentinels_are_verified_by_name_and_redis_by_an_authority_of_its_own() -> None:
    (url,) = URLS["REDIS_URL"]
    address = parse_sentinel_url(url)
    assert (address.secure, address.sentinels_secure, address.check_hostname) == (True, True, False)
    certificates = of_kind(PRODUCTION, "Certificate")
    signed = {name for name, item in certificates.items() if item["spec"]["issuerRef"]["name"] == "redis-ca"}
    assert signed == {"redis"}
    for kind in ("RedisReplication", "RedisSentinel"):
        (item,) = of_kind(PRODUCTION, kind).values()
        assert item["spec"]["TLS"]["secret"]["secretName"] == certificates["redis"]["spec"]["secretName"]
    service = item["spec"]["redisSentinelConfig"]
    assert service["masterGroupName"] == address.service
    assert service["redisReplicationName"] in of_kind(PRODUCTION, "RedisReplication")


def test_the_broker_takes_only_encrypted_connections() -> None:
    tls = of_kind(PRODUCTION, "RabbitmqCluster")["rabbitmq"]["spec"]["tls"]
    secret = of_kind(PRODUCTION, "Certificate")["rabbitmq"]["spec"]["secretName"]
    assert tls == {"secretName": secret, "disableNonTLSListeners": True}


def files_of(workload: Manifest, container: Manifest) -> set[str]:
    """Return the paths of the files that a container has from projected secrets."""
    volumes = {volume["name"]: volume for volume in pod_of(workload).get("volumes", [])}
    return {
        f"{mount['mountPath']}/{item['path']}"
        for mount in container.get("volumeMounts", [])
        for source in volumes[mount["name"]].get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }


def test_every_file_that_a_url_names_is_mounted_and_no_private_key_is() -> None:
    workloads = of_kind(PRODUCTION, "Deployment", "Job")
    for workload in workloads.values():
        for container in containers_of(workload):
            keys = {
                variable["valueFrom"]["secretKeyRef"]["key"]
                for variable in container.get("env", [])
                if "secretKeyRef" in variable.get("valueFrom", {})
            }
            urls = [url for key in keys & URLS.keys() for url in URLS[key]]
            named = {path for url in urls for path in re.findall(r"=(/[^&]+)", urlsplit(url).query)}
            assert named <= files_of(workload, container), container["name"]
        for volume in pod_of(workload).get("volumes", []):
            for source in volume.get("projected", {}).get("sources", []):
                assert {item["key"] for item in source["secret"]["items"]} == {"ca.crt"}


def test_keda_gets_the_authority_of_the_management_api() -> None:
    references = of_kind(PRODUCTION, "TriggerAuthentication")["sms-queue"]["spec"]["secretTargetRef"]
    by_parameter = {each["parameter"]: each for each in references}
    assert by_parameter["ca"] == {"parameter": "ca", "name": "internal-ca", "key": "ca.crt"}
    secret = of_kind(PRODUCTION, "ExternalSecret")["dialpass-rabbitmq"]["spec"]["target"]["template"]["data"]
    assert secret[by_parameter["tls"]["key"]] == "enable"
    issuers = of_kind(PRODUCTION, "Issuer")
    assert issuers["internal-ca"]["spec"]["ca"]["secretName"] == "internal-ca"
    assert of_kind(PRODUCTION, "Certificate")["rabbitmq"]["spec"]["issuerRef"]["name"] == "internal-ca"


def bytes_of(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def test_redis_refuses_writes_before_it_is_killed() -> None:
    replication = of_kind(PRODUCTION, "RedisReplication")["redis"]["spec"]
    settings = of_kind(PRODUCTION, "ConfigMap")[replication["redisConfig"]["additionalRedisConfig"]]
    lines = dict(line.split(" ", 1) for line in settings["data"]["redis-additional.conf"].splitlines()
                 if not line.startswith("#"))  # fmt: skip
    assert lines["maxmemory-policy"] == "noeviction"
    limit = bytes_of(replication["kubernetesConfig"]["resources"]["limits"]["memory"])
    # Saving a snapshot needs memory for what is written meanwhile.
    assert bytes_of(lines["maxmemory"]) <= 0.75 * limit


def test_redis_of_the_development_overlay_refuses_writes_before_it_is_killed() -> None:
    (container,) = pod_of(of_kind("overlays/dev", "StatefulSet")["redis"])["containers"]
    options = dict(zip(container["args"][1::2], container["args"][2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert bytes_of(options["--maxmemory"]) <= 0.75 * bytes_of(container["resources"]["limits"]["memory"])


def test_the_database_has_connections_for_all_replicas_of_auth() -> None:
    replicas = of_kind(PRODUCTION, "HorizontalPodAutoscaler")["auth"]["spec"]["maxReplicas"]
    settings = of_kind(PRODUCTION, "MariaDB")["mariadb"]["spec"]["myCnf"]
    (connections,) = re.findall(r"max_connections = (\d+)", settings)
    assert replicas * (AuthSettings.model_fields["mysql_pool_size"].default + 1) < int(connections)


def test_deleting_the_services_takes_no_data_along() -> None:
    services = {item["kind"] for item in kustomize(SERVICES)}
    servers = {item["kind"] for item in kustomize(SERVERS)}
    assert not services & SERVER_KINDS
    assert servers >= SERVER_KINDS - {"PersistentVolumeClaim"}
    # The services need nothing that deleting them would take from the servers.
    secrets = {item["metadata"]["name"] for item in kustomize(SERVICES) if item["kind"] == "ExternalSecret"}
    assert {name for name in secrets if not name.startswith("dialpass-")} == set()


def test_deleting_the_servers_keeps_their_volumes_or_needs_a_decision() -> None:
    assert of_kind(PRODUCTION, "RedisReplication")["redis"]["spec"]["storage"]["keepAfterDelete"] is True
    for item in kustomize(SERVERS):
        options = item["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
        assert set(options.split(",")) == {"Prune=false", "Delete=false"}


def test_passwords_reach_the_operators_that_watch_them() -> None:
    secrets = of_kind(PRODUCTION, "ExternalSecret")
    for user in of_kind(PRODUCTION, "User").values():
        template = secrets[user["spec"]["importCredentialsSecret"]["name"]]["spec"]["target"]["template"]
        assert template["metadata"]["labels"] == {"rabbitmq.com/topology-operator": "true"}
        assert template["data"]["username"] == user["metadata"]["name"]
    labels = secrets["mariadb-passwords"]["spec"]["target"]["template"]["metadata"]["labels"]
    assert labels == {"k8s.mariadb.com/watch": ""}


def test_compose_and_clusters_run_the_same_versions_of_servers() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for server, kind in (("mariadb", "MariaDB"), ("rabbitmq", "RabbitmqCluster")):
        (item,) = of_kind(PRODUCTION, kind).values()
        assert item["spec"]["image"] in compose[server]["image"]
