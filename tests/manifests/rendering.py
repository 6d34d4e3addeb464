"""The manifests as kustomize renders them."""

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.manifests.archives import ROOT, kubectl

K8S = ROOT / "deploy" / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
TARGETS = [*(f"overlays/{name}" for name in OVERLAYS), *(f"components/{name}" for name in COMPONENTS)]
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Manifest = dict[str, Any]


# Components that change what others have made; they come after these.
AFTER = {
    "ingress": ["cert-manager"],
    "internal-tls": ["autoscaling"],
    "settings": ["../overlays/production/settings"],
}


@cache
def render(target: str) -> tuple[Manifest, ...]:
    """Return the resources of an overlay with its servers, or of the base with one component."""
    folder = K8S / target
    if target.startswith("components/"):
        return kustomize(_base_with(folder))
    servers = folder / "servers"
    return (*(kustomize(servers) if servers.exists() else ()), *kustomize(folder))


def kustomize(folder: Path) -> tuple[Manifest, ...]:
    """Return the resources of a folder with a kustomization."""
    done = subprocess.run(
        [kubectl(), "kustomize", folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def _base_with(component: Path) -> Path:
    folder = ROOT / ".run" / "kustomize" / component.name
    folder.mkdir(parents=True, exist_ok=True)
    before = [component.parent / name for name in AFTER.get(component.name, [])]
    content = {
        "resources": [os.path.relpath(K8S / "base", folder)],
        "components": [os.path.relpath(path, folder) for path in (*before, component)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def of_kind(target: str, *kinds: str) -> dict[str, Manifest]:
    """Return the resources of some kinds by their name."""
    return {item["metadata"]["name"]: item for item in render(target) if item["kind"] in kinds}


def pod_of(workload: Manifest) -> Manifest:
    """Return the specification of a workload's pods."""
    return dict(workload["spec"]["template"]["spec"])


def containers_of(workload: Manifest) -> Iterator[Manifest]:
    """Yield a workload's containers, init containers included."""
    pod = pod_of(workload)
    yield from pod.get("initContainers", [])
    yield from pod["containers"]
