"""Security and reliability policies that hold for the workloads of all overlays."""

import importlib

import pytest
from pydantic_settings import BaseSettings

from shared.settings import ServiceSettings
from tests.manifests.rendering import OVERLAYS, WORKLOADS, Manifest, containers_of, of_kind, pod_of

WORKLOAD_IDS = [
    (f"overlays/{overlay}", name)
    for overlay in OVERLAYS
    for name in of_kind(f"overlays/{overlay}", *WORKLOADS)
]
SETTINGS = {
    "gateway": ("services.gateway.settings", "GatewaySettings"),
    "auth": ("services.auth.settings", "AuthSettings"),
    "wait-for-migrations": ("services.auth.settings", "MysqlSettings"),
    "make-signing-key": ("services.auth.settings", "KeySettings"),
    "migrate": ("services.auth.settings", "MysqlSettings"),
    "sms": ("services.sms.settings", "SmsSettings"),
}


@pytest.fixture(name="workload", params=WORKLOAD_IDS, ids="/".join)
def _workload(request: pytest.FixtureRequest) -> Manifest:
    target, name = request.param
    return of_kind(target, *WORKLOADS)[name]


def test_nothing_runs_as_root_or_can_become_root(workload: Manifest) -> None:
    context = pod_of(workload)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] >= 999
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers_of(workload):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not own.get("privileged")


def test_root_file_systems_are_read_only(workload: Manifest) -> None:
    assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in containers_of(workload))


def test_no_service_account_token_is_mounted(workload: Manifest) -> None:
    assert pod_of(workload)["automountServiceAccountToken"] is False


def test_nothing_uses_the_nodes_namespaces_or_files(workload: Manifest) -> None:
    pod = pod_of(workload)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPath" in volume for volume in pod.get("volumes", []))


def test_every_image_has_a_fixed_tag(workload: Manifest) -> None:
    for container in containers_of(workload):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        assert tag not in {"", "latest"}, container["image"]


def test_every_container_has_limits_and_requests(workload: Manifest) -> None:
    for container in containers_of(workload):
        resources = container["resources"]
        assert set(resources["limits"]) == set(resources["requests"]) == {"cpu", "memory"}


def test_every_container_has_all_three_probes(workload: Manifest) -> None:
    if workload["kind"] == "Job":
        assert workload["spec"]["activeDeadlineSeconds"] > 0
        return
    for container in pod_of(workload)["containers"]:
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_the_termination_grace_period_is_longer_than_a_drain(workload: Manifest) -> None:
    defaults = ServiceSettings.model_fields
    needed = defaults["drain_delay"].default + defaults["drain_timeout"].default
    if workload["kind"] == "Deployment" and workload["metadata"]["name"] in SETTINGS:
        assert pod_of(workload)["terminationGracePeriodSeconds"] > needed


def test_every_variable_is_a_setting_and_required_ones_are_set(workload: Manifest) -> None:
    overlay = workload["metadata"].get("namespace", "").removeprefix("dialpass-")
    target = "overlays/dev" if overlay == "dev" else "overlays/production"
    maps = of_kind(target, "ConfigMap")
    for container in containers_of(workload):
        if container["name"] not in SETTINGS:
            continue
        given = {variable["name"] for variable in container.get("env", [])}
        for source in container.get("envFrom", []):
            given |= set(maps[source["configMapRef"]["name"]]["data"])
        fields = settings_class(container["name"]).model_fields
        assert given - {name.upper() for name in fields} == set()
        needed = {name.upper() for name, field in fields.items() if field.is_required()}
        assert needed - given == set()


def settings_class(container: str) -> type[BaseSettings]:
    module, name = SETTINGS[container]
    settings: type[BaseSettings] = getattr(importlib.import_module(module), name)
    return settings
