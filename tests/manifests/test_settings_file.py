"""What a team has to decide is in one file per overlay, and what is left is refused."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.manifests.archives import kubectl
from tests.manifests.rendering import K8S, of_kind, render

PRODUCTION = "overlays/production"
SETTINGS = "settings/settings.env"
DECIDED = {
    "HOST": "accounts.shop.test", "ACME_EMAIL": "ops@shop.test", "GATEWAY_CLASS": "envoy",
    "GATEWAY_NAMESPACE": "envoy-gateway-system", "TRUSTED_PROXIES": "10.4.0.0/16,10.5.0.0/16",
    "CORS_ORIGINS": "https://app.shop.test", "SMS_SIGNATURE": "商店", "SMS_TEMPLATE": "您的验证码是{code}",
    "SECRET_STORE": "vault", "BACKUP_BUCKET": "shop-backups", "BACKUP_ENDPOINT": "s3.shop.test",
    "PROMETHEUS_RELEASE": "prometheus", "MONITORING_NAMESPACE": "observability", "KEDA_NAMESPACE": "scaling",
    "MARIADB_OPERATOR_NAMESPACE": "operators-a", "REDIS_OPERATOR_NAMESPACE": "operators-b",
    "RABBITMQ_OPERATOR_NAMESPACE": "operators-c",
}  # fmt: skip


def settings_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """A copy of deploy/k8s, as a team makes one of the overlay."""
    return Path(shutil.copytree(K8S, tmp_path / "k8s"))


def decide(copy: Path, **values: str) -> None:
    overlay = copy / PRODUCTION
    decided = DECIDED | values
    (overlay / SETTINGS).write_text("".join(f"{name}={value}\n" for name, value in decided.items()))
    kustomization = overlay / "kustomization.yaml"
    kustomization.write_text(
        kustomization.read_text().replace("registry.change-me.example", "registry.shop.test")
    )


def check(copy: Path, overlay: str = PRODUCTION) -> tuple[int, str]:
    """Run check.sh with the tests' kubectl; return its status and what it wrote."""
    path = f"{kubectl().parent}:/usr/bin:/bin"
    done = subprocess.run(
        [copy / "check.sh", copy / overlay],
        env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_example_is_refused_with_everything_that_is_to_be_decided(copy: Path) -> None:
    status, said = check(copy)
    assert status == 1
    placeholders = {
        name for name, value in settings_of(K8S / PRODUCTION / SETTINGS).items() if "change-me" in value
    }
    assert placeholders == {name for name in DECIDED if f" {name}=" in said}
    assert len(placeholders) >= 12
    assert "the image's registry" in said


def test_the_file_is_all_that_has_to_be_decided(copy: Path) -> None:
    """Beside the image, which a pipeline sets."""
    assert DECIDED.keys() == settings_of(K8S / PRODUCTION / SETTINGS).keys()
    decide(copy)
    assert check(copy) == (0, "")


@pytest.mark.parametrize("name", DECIDED)
def test_every_value_arrives_somewhere(copy: Path, name: str) -> None:
    decide(copy, **{name: "decided-here"})
    rendered = [
        subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True, check=True).stdout
        for folder in (copy / PRODUCTION, copy / PRODUCTION / "servers")
    ]
    assert "decided-here" in "".join(rendered)


def test_an_image_that_was_forgotten_is_refused(copy: Path) -> None:
    decide(copy)
    shutil.copy(K8S / PRODUCTION / "kustomization.yaml", copy / PRODUCTION)
    status, said = check(copy)
    assert (status, "registry.change-me.example/dialpass" in said) == (1, True)


def test_an_empty_value_is_refused(copy: Path) -> None:
    decide(copy, TRUSTED_PROXIES="")
    status, said = check(copy)
    assert (status, "TRUSTED_PROXIES=" in said) == (1, True)


def test_names_of_another_namespace_are_refused(copy: Path) -> None:
    decide(copy)
    for path in (copy / PRODUCTION).rglob("kustomization.yaml"):
        path.write_text(path.read_text().replace("namespace: dialpass", "namespace: accounts"))
    status, said = check(copy)
    assert status == 1
    assert "mariadb-primary.dialpass.svc is in the namespace dialpass, not in accounts" in said


def test_the_development_overlay_leaves_nothing_to_decide(copy: Path) -> None:
    assert check(copy, "overlays/dev") == (0, "")


def test_placeholders_are_in_no_other_file_than_those_that_the_check_names() -> None:
    """Other files only hold the defaults that the settings replace, which the render shows."""
    rendered = yaml.safe_dump_all(render(PRODUCTION))
    settings = settings_of(K8S / PRODUCTION / SETTINGS)
    placeholders = {value for value in settings.values() if "change-me" in value}
    left = set(re.findall(r"[\w.@:/{} -]*change-me[\w.@:/{} -]*", rendered))
    image = of_kind(PRODUCTION, "Deployment")["auth"]["spec"]["template"]["spec"]["containers"][0]["image"]
    unexpected = {
        word for word in left if not any(value in word for value in placeholders) and image not in word
    }
    assert unexpected == set()


def test_no_word_for_an_example_is_left_that_the_check_does_not_find() -> None:
    for item in render(PRODUCTION):
        for line in yaml.safe_dump(item).splitlines():
            assert "example" not in line or "change-me" in line or item["kind"] == "ConfigMap", line
